#include "server/page_reply.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>

#include "server/page.h"

namespace fourfold {
namespace {

RequestHead get(std::string target, HeaderList headers = {}) {
  return {.method = "GET", .target = std::move(target), .headers = std::move(headers)};
}

std::string header(const Reply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers) {
    if (key == name) return value;
  }
  return "";
}

// The first of the page's files that is not its start.
std::string_view some_asset() {
  for (const PageFile& file : page_files()) {
    if (file.path != "/") return file.path;
  }
  return "";
}

TEST(Page, StartsWithHtmlThatIsAskedForAgain) {
  const auto reply = page_reply(get("/"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(header(*reply, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(header(*reply, "Cache-Control"), "no-cache");
  EXPECT_EQ(header(*reply, "Vary"), "Accept, Accept-Encoding");
  EXPECT_EQ(reply->body.substr(0, 15), "<!doctype html>");
}

TEST(Page, NamesEveryAssetRelativeToItself) {
  const PageFile* start = find_page_file("/");
  ASSERT_NE(start, nullptr);
  for (const PageFile& file : page_files()) {
    if (file.path == "/") continue;
    const auto quoted = fmt::format("\"{}\"", file.path.substr(1));
    EXPECT_NE(start->bytes.find(quoted), std::string_view::npos) << file.path;
  }
}

TEST(Page, TalksToItsOwnServerOnly) {
  const auto reply = page_reply(get("/"));
  ASSERT_TRUE(reply);
  const std::string policy = header(*reply, "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("connect-src 'self'"), std::string::npos);
  for (const char* loose : {"http", "*", "unsafe", "//"}) {
    EXPECT_EQ(policy.find(loose), std::string::npos) << loose;
  }
  for (const PageFile& file : page_files()) {
    if (file.path != "/") continue;
    EXPECT_EQ(file.bytes.find("//"), std::string_view::npos) << "an address outside";
  }
}

TEST(Page, IsNotSentTwice) {
  const PageFile* start = find_page_file("/");
  const auto reply = page_reply(get("/", {{"if-none-match", std::string(start->etag)}}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 304);
  EXPECT_TRUE(reply->body.empty());
  EXPECT_EQ(page_reply(get("/", {{"if-none-match", "\"other\""}}))->status, 200);
}

TEST(Page, CompressesForThoseWhoTakeIt) {
  const PageFile* start = find_page_file("/");
  struct Row {
    const char* accept;
    bool is_compressed;
  };
  for (const auto& [accept, is_compressed] :
       {Row{"gzip", true}, Row{"deflate, gzip;q=0.5, br", true}, Row{"", false}, Row{"br", false},
        Row{"gzip;q=0", false}, Row{"gzip; q=0.0, br", false}, Row{"xgzip", false}}) {
    const auto reply = page_reply(get("/", {{"accept-encoding", accept}}));
    ASSERT_TRUE(reply);
    const bool may_compress = is_compressed && !start->gzip_bytes.empty();
    EXPECT_EQ(header(*reply, "Content-Encoding"), may_compress ? "gzip" : "") << accept;
    EXPECT_EQ(reply->body, may_compress ? start->gzip_bytes : start->bytes) << accept;
  }
}

TEST(Page, KeepsAssetsForEverUnderAnyPrefix) {
  const std::string path(some_asset());
  if (path.empty()) GTEST_SKIP() << "built without the chat page";
  for (const std::string& target : {path, "/behind/a/proxy" + path, path + "?x=1"}) {
    const auto reply = page_reply(get(target));
    ASSERT_TRUE(reply) << target;
    EXPECT_EQ(header(*reply, "Cache-Control"), "public, max-age=31536000, immutable");
    EXPECT_EQ(header(*reply, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(reply->body, find_page_file(path)->bytes);
  }
}

TEST(Page, HasNoOtherFiles) {
  EXPECT_FALSE(page_reply(get("/assets/nothing.js")));
  EXPECT_FALSE(page_reply(get("/assets/../page.css")));
  EXPECT_FALSE(page_reply(get("/assets/")));
}

}  // namespace
}  // namespace fourfold
