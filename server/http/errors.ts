import { type ValueError, ValueErrorType } from "@sinclair/typebox/value";
import { ValidationError as ElysiaValidationError } from "elysia";
import {
  AppError,
  type ErrorBody,
  NotFoundError,
  TooManyRequestsError,
  UnavailableError,
  ValidationError,
} from "../../protocol/errors.ts";
import { expectationOf } from "../../runtime/expectation.ts";
import { isUnavailable, isUnstorableText } from "../store/database.ts";

/** The application error behind whatever was thrown, or undefined for what the caller must not learn about. */
export function toAppError(error: unknown, code: string | number): AppError | undefined {
  if (error instanceof AppError) return error;
  // Elysia wraps what a body parser throws.
  if (error instanceof Error && error.cause instanceof AppError) return error.cause;
  if (error instanceof ElysiaValidationError && error.type !== "response") return toValidationError(error);
  if (isUnstorableText(error)) return new ValidationError("a text with a NUL character", { cause: error });
  if (isUnavailable(error)) return new UnavailableError("the database does not answer; try again", { cause: error });
  return code === "NOT_FOUND" ? new NotFoundError("there is nothing at this address") : undefined;
}

export function toErrorBody({ code, message, details }: Pick<AppError, "code" | "message" | "details">): ErrorBody {
  return { error: { code, message, ...(details === undefined ? {} : { details }) } };
}

export function retryAfter(error: AppError): Record<string, string> {
  return error instanceof TooManyRequestsError ? { "retry-after": String(error.retryAfterSeconds) } : {};
}

/** One line that names the field; the value stays out, it may be a secret. */
function toValidationError(error: ElysiaValidationError): ValidationError {
  const [fault] = error.all;
  const detail = fault !== undefined && "path" in fault ? fault : undefined;
  const path = detail?.path.split("/").slice(1).join(".") ?? "";
  const field = path === "" ? error.type : path;
  const message = detail === undefined ? `${field}: is not valid` : describe(field, detail);
  return new ValidationError(message, { details: { field, in: error.type } });
}

function describe(field: string, fault: ValueError): string {
  if (fault.type === ValueErrorType.ObjectAdditionalProperties) return `unknown field ${field}`;
  if (fault.type === ValueErrorType.ObjectRequiredProperty) return `${field} is missing`;
  return `${field}: ${expectationOf(fault)}`;
}
