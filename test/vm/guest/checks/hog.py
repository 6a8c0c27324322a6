# Four times what a run may have.
kept = []
for _ in range(64):
    kept.append(bytearray(b"x" * (16 * 1024 * 1024)))
print("vm_hog 1")
