"""A seccomp filter: no new process, no other program, no socket, no signal to anyone else, no change of a file's owner or mode.

The filter is a short program in the kernel's classic BPF, as `linux/seccomp.h` and `linux/filter.h` describe it; numbers of system
calls are those of x86-64 and of AArch64. Works without privilege on every kernel since 3.17. Costs nothing measurable.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

SET_SECCOMP, FILTER_MODE = 22, 2
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, ABSENT = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38
"""Go on; fail with EPERM; fail with ENOSYS (for `clone3`, whose flags a filter cannot read: libraries then take `clone`)."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
THREAD = 0x00010000
FOREIGN_NUMBERS = 0x40000000
"""x86-64 knows a second set of numbers from here on."""

REFUSED = (
    "fork 57 -, vfork 58 -, execve 59 221, execveat 322 281, ptrace 101 117, process_vm_readv 310 270, process_vm_writev "
    "311 271, unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, keyctl 250 "
    "219, add_key 248 217, request_key 249 218, bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_uring_setup "
    "425 425, io_uring_enter 426 426, io_uring_register 427 427, pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal "
    "424 424, open_by_handle_at 304 265, kexec_load 246 104, init_module 175 105, finit_module 313 273, delete_module 176 "
    "106, reboot 169 142, swapon 167 224, swapoff 168 225, settimeofday 164 170, clock_settime 227 112, sethostname 170 "
    "161, setdomainname 171 162, acct 163 89, quotactl 179 60, personality 135 92, rt_sigqueueinfo 129 138, "
    "rt_tgsigqueueinfo 297 240, tkill 200 130, setpgid 109 154, setsid 112 157, socket 41 198, chmod 90 -, fchmod 91 52, "
    "fchmodat 268 53, fchmodat2 452 452, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54, utime 132 -, utimes 235 -, "
    "futimesat 261 -, utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14, lremovexattr "
    "198 15, fremovexattr 199 16, setpriority 141 140"
)
"""Each system call that is refused, with its number on x86-64 and on AArch64; a dash where there is none."""
MACHINES: dict[str, tuple[int, int, dict[str, int]]] = {
    "x86_64": (0xC000003E, 1, {"clone": 56, "clone3": 435, "kill": 62, "tgkill": 234, "prlimit64": 302}),
    "aarch64": (0xC00000B7, 2, {"clone": 220, "clone3": 435, "kill": 129, "tgkill": 131, "prlimit64": 261}),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _instruction(code: int, value: int, when: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", code, when, otherwise, value)


def program(machine: str, process: int) -> bytes:
    """Return the filter for `machine` (a key of `MACHINES`) and a process of that number."""
    architecture, column, special = MACHINES[machine]
    numbers = [row.split()[column] for row in REFUSED.split(", ")]
    steps = [
        _instruction(LOAD, ARCHITECTURE),
        _instruction(JUMP_EQUAL, architecture, when=1),
        _instruction(RETURN, REFUSE),
        _instruction(LOAD, NUMBER),
    ]
    if machine == "x86_64":
        steps += [_instruction(JUMP_AT_LEAST, FOREIGN_NUMBERS, otherwise=1), _instruction(RETURN, REFUSE)]
    for number in (int(word) for word in numbers if word != "-"):
        steps += [_instruction(JUMP_EQUAL, number, otherwise=1), _instruction(RETURN, REFUSE)]
    steps += [_instruction(JUMP_EQUAL, special["clone3"], otherwise=1), _instruction(RETURN, ABSENT)]
    # A new thread is let through, a new process is not.
    steps += _with_argument(special["clone"], [_instruction(JUMP_BITS, THREAD, when=0, otherwise=1), _instruction(RETURN, ALLOW)])
    own = [_instruction(JUMP_EQUAL, process, otherwise=1), _instruction(RETURN, ALLOW)]
    for name in ("kill", "tgkill"):
        steps += _with_argument(special[name], own)
    nobody = [_instruction(JUMP_EQUAL, 0, otherwise=1), _instruction(RETURN, ALLOW)]
    steps += _with_argument(special["prlimit64"], [*nobody, *own])
    return b"".join([*steps, _instruction(RETURN, ALLOW)])


def _with_argument(number: int, allowed: list[bytes]) -> list[bytes]:
    """Return steps that look at the first argument of one system call: allowed by `allowed`, refused else."""
    body = [_instruction(LOAD, FIRST_ARGUMENT), *allowed, _instruction(RETURN, REFUSE)]
    return [_instruction(JUMP_EQUAL, number, otherwise=len(body)), *body]


def restrict() -> bool:
    """Load the filter for this process; return whether it holds. The caller has set «no new privileges»."""
    machine = platform.machine()
    if machine not in MACHINES or struct.calcsize("P") != 8:
        return False
    code = program(machine, os.getpid())
    filters = _Program(len(code) // 8, code)
    return int(ctypes.CDLL(None, use_errno=True).prctl(SET_SECCOMP, FILTER_MODE, ctypes.byref(filters), 0, 0)) == 0
