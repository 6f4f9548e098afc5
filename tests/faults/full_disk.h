// Runs the program on a disk that is full from its n-th write on. The calls of the child that need room are stopped with
// ptrace(2) and answered with "no space left on device": the first of them, where it writes bytes, writes half of them
// before. So nothing in the program knows of it, and no privileges and no file system of its own are needed.
#pragma once

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <cerrno>
#include <cstddef>
#include <map>

#include "e2e/child.h"

namespace ballast::e2e {

class FullDisk {
 public:
  struct Outcome {
    Result result;
    int calls = 0;        // that needed room in `folder`, refused ones included
    std::string refused;  // the first that got none: "write /tmp/.../train.shard"
  };

  // False where this machine does not let a process trace its child, or is none that we know the registers of.
  static bool possible() {
#ifdef __x86_64__
    const pid_t pid = fork();
    if (pid == 0) _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : 1);
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
#else
    return false;
#endif
  }

  // Counts calls on files under `folder` and refuses them from the `full_from`-th on (from 1; 0: none).
  // `in_child` runs before the program starts.
  static Outcome run(const std::vector<std::string>& arguments, const fs::path& folder, int full_from,
                     const std::function<void()>& in_child = {}) {
    return FullDisk(folder, full_from).trace(arguments, in_child);
  }

 private:
  FullDisk(fs::path folder, int full_from) : folder_(std::move(folder)), full_from_(full_from) {}

#ifdef __x86_64__
  Outcome trace(const std::vector<std::string>& arguments, const std::function<void()>& in_child) {
    Child child = start(arguments, [&] {
      if (in_child) in_child();
      setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // its leak checker is a tracer, too, and there can be but one
      ptrace(PTRACE_TRACEME, 0, 0, 0);
      raise(SIGSTOP);
    });
    int status = 0;
    waitpid(child.pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child.pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, child.pid, 0, 0);
    for (;;) {
      const pid_t thread = waitpid(-1, &status, __WALL);
      if (thread < 0) break;
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        if (thread != child.pid) continue;
        outcome_.result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        break;
      }
      long deliver = 0;
      if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
        at_system_call(thread);
      } else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
        deliver = WSTOPSIG(status);
      }
      ptrace(PTRACE_SYSCALL, thread, 0, deliver);
    }
    outcome_.result.out = slurp(child.out);
    outcome_.result.err = slurp(child.err);
    fs::remove(child.out);
    fs::remove(child.err);
    return outcome_;
  }

  static constexpr size_t kNumber = offsetof(user_regs_struct, orig_rax), kResult = offsetof(user_regs_struct, rax),
                          kSize = offsetof(user_regs_struct, rdx);

  // Every call stops twice: before and after.
  void at_system_call(pid_t thread) {
    bool& inside = inside_[thread];
    inside = !inside;
    if (!inside) {
      if (refused_.erase(thread) > 0) ptrace(PTRACE_POKEUSER, thread, kResult, -long{ENOSPC});
      return;
    }
    user_regs_struct r;
    ptrace(PTRACE_GETREGS, thread, 0, &r);
    const std::string what = needs_room(thread, r);
    if (what.empty()) return;
    ++outcome_.calls;
    if (full_from_ == 0 || outcome_.calls < full_from_) return;
    if (outcome_.refused.empty()) {
      outcome_.refused = what;
      if (what.starts_with("write") && r.rdx > 1) {
        ptrace(PTRACE_POKEUSER, thread, kSize, r.rdx / 2);
        return;
      }
    }
    refused_[thread] = true;
    ptrace(PTRACE_POKEUSER, thread, kNumber, -1L);  // a call that does not exist
  }

  // What the call does to which file under the folder; empty where it needs no room there.
  std::string needs_room(pid_t thread, const user_regs_struct& r) const {
    switch (r.orig_rax) {
      case SYS_write:
      case SYS_pwrite64: return in_folder("write ", open_file(thread, static_cast<int>(r.rdi)));
      case SYS_writev: return in_folder("gather ", open_file(thread, static_cast<int>(r.rdi)));
      case SYS_fsync:
      case SYS_fdatasync: return in_folder("sync ", open_file(thread, static_cast<int>(r.rdi)));
      case SYS_openat: return r.rdx & O_CREAT ? in_folder("create ", text_at(thread, r.rsi)) : "";
      case SYS_mkdir: return in_folder("mkdir ", text_at(thread, r.rdi));
      case SYS_rename: return in_folder("rename ", text_at(thread, r.rsi));
      case SYS_renameat:
      case SYS_renameat2: return in_folder("rename ", text_at(thread, r.r10));
      case SYS_symlink: return in_folder("link ", text_at(thread, r.rsi));
      default: return "";
    }
  }

  std::string in_folder(const std::string& verb, const std::string& path) const {
    return path.starts_with(folder_.string() + "/") ? verb + path : "";
  }

  static std::string open_file(pid_t thread, int fd) {
    if (fd <= STDERR_FILENO) return "";
    std::error_code ignored;
    return fs::read_symlink("/proc/" + std::to_string(thread) + "/fd/" + std::to_string(fd), ignored);
  }

  static std::string text_at(pid_t thread, unsigned long address) {
    std::string text;
    for (char c; text.size() < 4096; text += c) {
      const iovec here{&c, 1}, there{reinterpret_cast<void*>(address + text.size()), 1};
      if (process_vm_readv(thread, &here, 1, &there, 1, 0) != 1 || c == 0) break;
    }
    return text;
  }
#else
  Outcome trace(const std::vector<std::string>&, const std::function<void()>&) { return {}; }
#endif

  const fs::path folder_;
  const int full_from_;
  Outcome outcome_;
  std::map<pid_t, bool> inside_, refused_;
};

}  // namespace ballast::e2e
