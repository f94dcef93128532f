"""Folds perf's samples (standard input) and tells where they lie: what was asked of the kernel, or what ran by itself."""

import collections
import re
import sys

who, folded_path = sys.argv[1:]

# The first that any frame matches. Frames of the kernel are innermost first, so a send's own softirqs count as network.
STAGES = [
    ("network: sending", r"sys_sendmsg|sys_sendto|sock_sendmsg|do_writev|sock_write_iter"),
    ("network: receiving", r"sys_recvfrom|sys_recvmsg|sock_recvmsg"),
    ("disk: handing writes over", r"io_submit_sqes|io_write|blk_mq|virtio_queue"),
    ("waiting and waking", r"epoll|io_cqring_wait|io_uring_enter|futex|schedule"),
    ("interrupts", r"asm_\w+interrupt|handle_softirqs"),
    ("the kernel otherwise", r"do_syscall_64|entry_SYSCALL|exit_to_user"),
    ("checksums", r"^crc32c::|crc_u64|^sha2::"),
    ("copies in our memory", r"memmove|memcpy"),
    ("allocator", r"^_?_?(int_)?(malloc|free|realloc)|_int_|buddy_alloc|cfree"),
    ("clocks", r"clock_gettime|vdso"),
]
# What shows that a sample is the kernel's.
KERNEL = r"do_syscall_64|entry_SYSCALL|exit_to_user|^asm_"


def stage(frames):
    """The stage of one sample: kernel stages by any of its frames, user ones by the innermost."""
    for name, pattern in STAGES[:6] if any(re.search(KERNEL, frame) for frame in frames) else []:
        if any(re.search(pattern, frame) for frame in frames):
            return name
    for name, pattern in STAGES[6:]:
        if re.search(pattern, frames[0]):
            return name
    return "our code, runtimes and libraries"


def samples():
    """Each sample's frames, innermost first."""
    frames = []
    for line in sys.stdin:
        if not line.strip():
            if frames:
                yield frames
            frames = []
        elif line[0] in " \t":
            frames.append(line.split(None, 1)[1].strip() if len(line.split(None, 1)) > 1 else "?")
    if frames:
        yield frames


stages, folded = collections.Counter(), collections.Counter()
for frames in samples():
    stages[stage(frames)] += 1
    folded[";".join(reversed([re.sub(r"\+0x[0-9a-f]+$", "", frame).replace(";", ":") for frame in frames]))] += 1

with open(folded_path, "w", encoding="utf-8") as file:
    file.writelines(f"{stack} {count}\n" for stack, count in sorted(folded.items()))
total = sum(stages.values())
print(f"\n{who}: {total} samples")
for name, count in stages.most_common():
    print(f"  {100 * count / total:5.1f} %  {name}")
