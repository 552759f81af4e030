#include "engine/app/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace sluice {
namespace {

using State = ControlRequest::State;

// Where the bytes are cut must not change the request.
TEST(ControlRequest, EveryCutGivesTheSameRequest) {
  const std::string text = "status\nrest";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    ControlRequest request;
    const State first = request.Feed(text.substr(0, cut));
    const State second = request.Feed(text.substr(cut));
    EXPECT_EQ(first, cut > 6 ? State::kReady : State::kMore) << cut;
    EXPECT_EQ(second, State::kReady) << cut;
    EXPECT_EQ(request.line(), "status") << cut;
  }
}

TEST(ControlRequest, TheLongestIs4KiBWithItsNewline) {
  ControlRequest fits, over;
  EXPECT_EQ(fits.Feed(std::string(ControlRequest::kMaxBytes - 1, 'a') + "\n"), State::kReady);
  EXPECT_EQ(over.Feed(std::string(ControlRequest::kMaxBytes, 'a')), State::kTooLong);
  EXPECT_EQ(over.Feed("\n"), State::kTooLong);
}

class Control : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / ("sluice-control-" + std::to_string(getpid()))).string();
    auto server = ControlServer::Listen(path_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void TearDown() override {
    for (const int fd : clients_) close(fd);
  }
  int Connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    clients_.push_back(fd);
    return fd;
  }
  void Say(int fd, std::string_view text) {
    ASSERT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // As often as any client can need it at one moment.
  void Serve() {
    for (int i = 0; i < 40; ++i) {
      server_->Serve(now_, Nanos{}, {}, [this](uint64_t id, std::string_view request) -> std::optional<std::string> {
        if (request != "later") return std::string(request) + "!";
        waiting_ = id;
        return std::nullopt;
      });
    }
  }
  // What came; "-" closed without an answer, "" nothing yet.
  std::string Answer(int fd) {
    char buffer[256];
    const ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : n == 0 ? "-" : "";
  }

  std::string path_;
  std::unique_ptr<ControlServer> server_;
  std::vector<int> clients_;
  Nanos now_ = std::chrono::seconds{100};
  uint64_t waiting_ = 0;
};

TEST_F(Control, AnswersALine) {
  const int client = Connect();
  Say(client, "status\n");
  Serve();
  EXPECT_EQ(Answer(client), "status!\n");
  EXPECT_EQ(Answer(client), "-");
  EXPECT_EQ(server_->stats().served, 1u);
}

TEST_F(Control, ASlowClientDelaysNobodyAndIsClosedInTime) {
  const int slow = Connect();
  Say(slow, "sta");
  Serve();
  const int quick = Connect();
  Say(quick, "x\n");
  Serve();
  EXPECT_EQ(Answer(quick), "x!\n");
  EXPECT_EQ(Answer(slow), "");
  now_ += ControlServer::kPatience;
  Serve();
  EXPECT_EQ(Answer(slow), "-");
  EXPECT_EQ(server_->stats().timed_out, 1u);
}

TEST_F(Control, AnAnswerMayComeLater) {
  const int client = Connect();
  Say(client, "later\n");
  Serve();
  now_ += 10 * ControlServer::kPatience;  // a reload takes as long as it takes
  Serve();
  EXPECT_EQ(Answer(client), "");
  server_->Reply(waiting_, "done");
  Serve();
  EXPECT_EQ(Answer(client), "done\n");
}

TEST_F(Control, AReplyToAClientThatLeftIsNoMatter) {
  const int client = Connect();
  Say(client, "later\n");
  Serve();
  close(client);
  clients_.clear();
  Serve();
  server_->Reply(waiting_, "done");
  Serve();
  EXPECT_EQ(server_->stats().served, 0u);
}

TEST_F(Control, TheClientAfterTheLastPlaceTakesThatOfTheFirst) {
  for (size_t i = 0; i < ControlServer::kMaxClients; ++i) Connect();
  Serve();
  const int further = Connect();
  Say(further, "x\n");
  Serve();
  EXPECT_EQ(Answer(further), "x!\n");
  EXPECT_EQ(Answer(clients_[0]), "-");
  EXPECT_EQ(Answer(clients_[1]), "");
  EXPECT_EQ(server_->stats().evicted, 1u);
}

TEST_F(Control, ALongRequestIsCutOff) {
  const int client = Connect();
  Say(client, std::string(ControlRequest::kMaxBytes, 'a'));
  Serve();
  EXPECT_EQ(Answer(client), "-");
  EXPECT_EQ(server_->stats().too_long, 1u);
}

TEST_F(Control, ASecondEngineIsRefusedAndAStaleSocketIsNot) {
  const auto second = ControlServer::Listen(path_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("already answers"), std::string::npos);
  server_.reset();
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(stale, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(stale);
  EXPECT_TRUE(ControlServer::Listen(path_));
}

}  // namespace
}  // namespace sluice
