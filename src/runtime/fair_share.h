// Deficit round robin between users over computed rows: each has a credit and pays for every row,
// and the one with the most credit is served; when nobody who waits has any left, all of these get
// the same again.
//
//   share.join("ann");
//   const std::size_t next = share.choose(users);   // one of those who wait
//   share.charge(users[next], n_rows);
//   share.leave("ann");                              // once per join
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace fourfold {

class FairShare {
 public:
  void join(const std::string& user);
  void leave(const std::string& user);
  // Index of the one who is served next. `users`, not empty, have joined; one may occur twice.
  std::size_t choose(std::span<const std::string* const> users);
  void charge(const std::string& user, std::int64_t n_rows);

 private:
  struct User {
    int n_sequences = 0;
    std::uint64_t joined = 0;  // the order of the round
    std::int64_t credit = 0;   // rows
  };

  std::map<std::string, User> users_;
  std::uint64_t n_joined_ = 0;
};

}  // namespace fourfold
