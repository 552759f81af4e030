// tests/bpf/namespaces.h
// Two network namespaces joined by a veth pair.  They have no names: they vanish with the processes
// that hold them, and those die with the test, whatever way it ends.
// Threads: one.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

namespace sluice::testing {

class Namespace {
 public:
  Namespace() {
    int ready[2];
    if (pipe(ready) != 0) return;
    holder_ = fork();
    if (holder_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const char ok = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      (void)!write(ready[1], &ok, 1);
      for (;;) pause();
    }
    char ok = 'n';
    (void)!read(ready[0], &ok, 1);
    close(ready[0]);
    close(ready[1]);
    if (ok == 'y') fd_ = open(fmt::format("/proc/{}/ns/net", holder_).c_str(), O_RDONLY | O_CLOEXEC);
  }
  ~Namespace() {
    if (fd_ >= 0) close(fd_);
    if (holder_ > 0) {
      kill(holder_, SIGKILL);
      waitpid(holder_, nullptr, 0);
    }
  }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  bool ok() const { return fd_ >= 0; }
  pid_t holder() const { return holder_; }
  // Runs a command line inside; true if it succeeds.
  bool Shell(const std::string& command) const {
    return std::system(fmt::format("nsenter -t {} -n {}", holder_, command).c_str()) == 0;
  }
  // Runs `body` on this thread inside.
  void Inside(const std::function<void()>& body) const {
    const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(setns(fd_, CLONE_NEWNET), 0);
    body();
    ASSERT_EQ(setns(home, CLONE_NEWNET), 0);
    close(home);
  }
  // Forks a process that runs `body` inside and exits with its result.
  pid_t Fork(const std::function<int()>& body) const {
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      _exit(setns(fd_, CLONE_NEWNET) == 0 ? body() : 99);
    }
    return child;
  }

 private:
  pid_t holder_ = -1;
  int fd_ = -1;
};

inline int ExitOf(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// client 10.9.0.1 / fd09::1 on c0, server 10.9.0.2 / fd09::2 on s0.
struct VethPair {
  Namespace client, server;

  bool Up() {
    return client.ok() && server.ok() &&
           std::system(fmt::format("ip link add c0 netns {} address 02:00:00:00:09:01 type veth "
                                   "peer name s0 netns {} address 02:00:00:00:09:02",
                                   client.holder(), server.holder())
                           .c_str()) == 0 &&
           Configure(client, "c0", 1) && Configure(server, "s0", 2);
  }

 private:
  static bool Configure(const Namespace& space, const char* name, int host) {
    return space.Shell("ip link set lo up") &&
           space.Shell(fmt::format("ip addr add 10.9.0.{}/24 dev {}", host, name)) &&
           space.Shell(fmt::format("ip addr add fd09::{}/64 dev {} nodad", host, name)) &&
           space.Shell(fmt::format("ip link set {} up", name)) &&
           Knows(space, name, "10.9.0.", 3 - host) && Knows(space, name, "fd09::", 3 - host);
  }
  // Address resolution would come and go between what a test sends.
  static bool Knows(const Namespace& space, const char* name, const char* net, int peer) {
    return space.Shell(fmt::format("ip neigh replace {}{} lladdr 02:00:00:00:09:0{} dev {}", net,
                                   peer, peer, name));
  }
};

}  // namespace sluice::testing
