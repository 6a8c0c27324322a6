import { ValidationError as ElysiaValidationError } from "elysia";
import {
  AppError,
  type ErrorBody,
  NotFoundError,
  TooManyRequestsError,
  UnavailableError,
  ValidationError,
} from "../../protocol/errors.ts";
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
  const problem = detail?.message ?? "is not valid";
  const message = problem === "Unexpected property" ? `unknown field ${field}` : `${field}: ${decapitalise(problem)}`;
  return new ValidationError(message, { details: { field, in: error.type } });
}

const decapitalise = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
