// Compile and mask times on the full vocabulary, for the schemas and tools of tests/cases/grammar:
//
//   grammar_bench [WALKS]
//
// Masks are those of random walks, the first on a grammar that was compiled just now ("cold").

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <vector>

#include "base/json_value.h"
#include "grammar/constraint.h"
#include "grammar/token_mask.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;
using Random = std::mt19937_64;
using MakeConstraint = std::function<Result<Constraint>(ConstraintFactory&)>;

constexpr int kMaxTokens = 120;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// The rows of <what>.json and real-<what>.json.
Result<std::vector<JsonValue>> read_cases(const std::string& what) {
  std::vector<JsonValue> rows;
  for (const std::string prefix : {"", "real-"}) {
    const auto name = prefix + what + ".json";
    std::ifstream in(std::string(FOURFOLD_SOURCE_DIR) + "/tests/cases/grammar/" + name);
    std::stringstream text;
    text << in.rdbuf();
    const auto list = TRY_IN(name, parse_json_value(text.str()));
    rows.insert(rows.end(), list.items.begin(), list.items.end());
  }
  return rows;
}

struct Times {
  std::vector<double> all;

  void add(const Times& other) { all.insert(all.end(), other.all.begin(), other.all.end()); }
  double mean() const {
    double sum = 0;
    for (const double t : all) sum += t;
    return all.empty() ? 0 : sum / static_cast<double>(all.size());
  }
  double quantile(double q) {
    if (all.empty()) return 0;
    std::ranges::sort(all);
    return all[static_cast<std::size_t>(q * static_cast<double>(all.size() - 1))];
  }
};

// An allowed id from a random place on, or kNoToken.
TokenId pick(std::span<const std::uint64_t> mask, Random& random) {
  const auto n = static_cast<TokenId>(mask.size() * 64);
  const auto begin = static_cast<TokenId>(random() % static_cast<std::uint64_t>(n));
  for (TokenId i = 0; i < n; ++i) {
    const TokenId id = (begin + i) % n;
    if (is_allowed(mask, id)) return id;
  }
  return kNoToken;
}

Result<Times> walk(Constraint constraint, Random& random) {
  Times times;
  for (int i = 0; i < kMaxTokens && !constraint.is_complete(); ++i) {
    const auto start = Clock::now();
    const auto mask = TRY(constraint.allowed());
    times.all.push_back(us_since(start));
    const TokenId id = pick(mask, random);
    if (id == kNoToken) break;
    TRY(constraint.commit(id));
  }
  return times;
}

struct Totals {
  Times compile, cold, warm;
};

Status measure(ConstraintFactory& factory, const std::string& name, const MakeConstraint& make,
               int n_walks, Totals& totals) {
  Random random(1);
  const auto start = Clock::now();
  auto first = TRY_IN(name, make(factory));
  const double compile_us = us_since(start);
  totals.compile.all.push_back(compile_us);
  Times cold = TRY_IN(name, walk(std::move(first), random)), warm;
  for (int i = 0; i < n_walks; ++i) {
    auto next = TRY(make(factory));
    warm.add(TRY_IN(name, walk(std::move(next), random)));
  }
  fmt::print("{:<40} compile {:>8.2f} ms   mask cold {:>7.1f} µs   warm {:>7.1f}, p99 {:>7.1f}\n",
             name, compile_us / 1000, cold.mean(), warm.mean(), warm.quantile(0.99));
  totals.cold.add(cold);
  totals.warm.add(warm);
  return {};
}

Status run(int n_walks) {
  const auto tokenizer =
      TRY(Tokenizer::open(std::string(FOURFOLD_BUILD_DIR) + "/golden/tokenizer/tokenizer.json"));
  ConstraintFactory factory(tokenizer);
  const auto start = Clock::now();
  TRY(factory.regex("a"));
  fmt::print("tables of {} pieces: {:.2f} s\n", tokenizer.vocab_size(), us_since(start) / 1e6);

  Totals totals;
  const auto schemas = TRY(read_cases("schemas"));
  for (const auto& row : schemas) {
    TRY(measure(
        factory, row.find("name")->text,
        [&](ConstraintFactory& f) { return f.json_schema(*row.find("schema")); }, n_walks, totals));
  }
  const auto tool_sets = TRY(read_cases("tools"));
  for (const auto& row : tool_sets) {
    ToolSet set;
    for (const auto& [name, parameters] : row.find("tools")->members) {
      set.tools.push_back({name, parameters});
    }
    TRY(measure(
        factory, "tools: " + row.find("name")->text,
        [&](ConstraintFactory& f) { return f.tools(set); }, n_walks, totals));
  }
  fmt::print("{} cases: compile median {:.2f} ms, worst {:.2f} ms\n", totals.compile.all.size(),
             totals.compile.quantile(0.5) / 1000, totals.compile.quantile(1) / 1000);
  for (const auto& [name, times] : {std::pair{"cold", &totals.cold}, {"warm", &totals.warm}}) {
    fmt::print("masks {}: {} of them, mean {:.1f} µs, median {:.1f}, p99 {:.1f}, worst {:.1f}\n",
               name, times->all.size(), times->mean(), times->quantile(0.5), times->quantile(0.99),
               times->quantile(1));
  }
  return {};
}

}  // namespace
}  // namespace fourfold

int main(int argc, char** argv) {
  const auto status = fourfold::run(argc > 1 ? std::atoi(argv[1]) : 8);
  if (status.ok()) return 0;
  fmt::print(stderr, "grammar_bench: {}\n", status.error().message);
  return 1;
}
