#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <thread>

#include "server/http/body_sink.h"
#include "server/http/http_server.h"
#include "server/http/test_client.h"

namespace fourfold {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t kMostBytes = 1 << 20;

std::string gzip(const std::string& text) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

struct Coding {
  const char* name;
  std::function<std::string(const std::string&)> encode;
};

class Codings : public testing::TestWithParam<Coding> {
 protected:
  static Result<std::string> decode(const std::string& bytes, std::size_t piece_bytes = 1000) {
    auto sink = TRY(BodySink::open({.most_bytes = kMostBytes}, GetParam().name, ""));
    for (std::size_t i = 0; i < bytes.size(); i += piece_bytes) {
      TRY(sink->add(std::string_view(bytes).substr(i, piece_bytes)));
    }
    Request request;
    TRY(sink->finish(request));
    return request.body;
  }
};

TEST_P(Codings, AreUndoneHoweverTheyAreCut) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i * i) + ",";
  const std::string bytes = GetParam().encode(text);
  for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{997}, bytes.size()}) {
    const auto decoded = decode(bytes, piece_bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(*decoded, text);
  }
}

TEST_P(Codings, CountDecodedBytes) {
  const std::string at_limit(kMostBytes, 'x');
  const auto decoded = decode(GetParam().encode(at_limit));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(*decoded, at_limit);

  for (const std::size_t size : {kMostBytes + 1, std::size_t{20} << 20}) {
    const auto too_large = decode(GetParam().encode(std::string(size, 'x')));
    ASSERT_FALSE(too_large.ok());
    EXPECT_EQ(too_large.error().reason(), kBodyTooLarge);
  }
}

TEST_P(Codings, AreRefusedWhenTheyAreBroken) {
  const std::string good = GetParam().encode("hello hello hello");
  const auto nonsense = decode("nonsense that is no coding");
  ASSERT_FALSE(nonsense.ok());
  EXPECT_EQ(nonsense.error().code, Code::InvalidArgument);
  for (std::size_t size = 1; size < good.size(); ++size) {
    const auto cut = decode(good.substr(0, size));
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code, Code::InvalidArgument);
    EXPECT_THAT(cut.error().message, HasSubstr("ends too early"));
  }
}

TEST_P(Codings, MayFollowEachOther) {
  const auto decoded = decode(GetParam().encode("one ") + GetParam().encode("two"));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(*decoded, "one two");
}

TEST_P(Codings, OfABodyAreUndoneByTheServer) {
  HttpServer server(
      {},
      [](const RequestHead&) -> HeadVerdict {
        return BodyPlan{.most_bytes = kMostBytes,
                        .too_large = [](std::uint64_t) { return Reply{.status = 413}; },
                        .malformed = [](std::string_view) { return Reply{.status = 400}; }};
      },
      [](Exchange& exchange) { exchange.reply({.body = exchange.request().body}); });
  const auto address = server.listen("127.0.0.1", 0);
  ASSERT_TRUE(address.ok()) << address.error().message;
  std::thread thread([&] { server.run(); });
  const auto post = [&](const std::string& bytes) {
    TestClient client(address->port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: " + std::string(GetParam().name) +
                "\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n" + bytes);
    return client.read_reply();
  };
  EXPECT_THAT(post(GetParam().encode("hello")), EndsWith("\r\n\r\nhello"));
  EXPECT_THAT(post(GetParam().encode(std::string(kMostBytes + 1, 'x'))),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(post("nonsense"), StartsWith("HTTP/1.1 400 "));
  server.drain(std::chrono::milliseconds(0));
  thread.join();
}

INSTANTIATE_TEST_SUITE_P(All, Codings, testing::Values(Coding{"gzip", gzip}, Coding{"zstd", zstd}),
                         [](const auto& row) { return row.param.name; });

TEST(Zstd, RefusesAWindowThatIsMoreThanHttpAllows) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 26);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string out(ZSTD_compressBound(100), '\0');
  ZSTD_inBuffer in = {"hello", 5, 0};
  ZSTD_outBuffer bytes = {out.data(), out.size(), 0};
  ZSTD_compressStream2(context, &bytes, &in, ZSTD_e_flush);
  ZSTD_freeCCtx(context);
  auto sink = BodySink::open({.most_bytes = kMostBytes}, "zstd", "");
  ASSERT_TRUE(sink.ok());
  EXPECT_FALSE((*sink)->add(std::string_view(out.data(), bytes.pos)).ok());
}

}  // namespace
}  // namespace fourfold
