#include "server/http/wire.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace fourfold {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 529: return "Overloaded";
  }
  return "Status";
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

// A line break in a header would let whoever chose its text write headers of their own.
void add_header_text(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += (byte < 0x20 && c != '\t') || byte == 0x7f ? ' ' : c;
  }
}

std::string head_bytes(int status, const HeaderList& headers, const ReplyForm& form) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nServer: fourfold\r\nDate: {}\r\n", status,
                                reason_phrase(status), http_date(std::time(nullptr)));
  for (const auto& [name, value] : headers) {
    add_header_text(out, name);
    out += ": ";
    add_header_text(out, value);
    out += "\r\n";
  }
  if (!form.keep_alive) {
    out += "Connection: close\r\n";
  } else if (form.is_http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  return out;
}

}  // namespace

std::string whole_reply_bytes(const Reply& reply, const ReplyForm& form) {
  std::string out = head_bytes(reply.status, reply.headers, form);
  if (!has_body(reply.status)) return out += "\r\n";
  fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n\r\n", reply.body.size());
  if (!form.is_head) out += reply.body;
  return out;
}

std::string stream_head_bytes(int status, const HeaderList& headers, const ReplyForm& form) {
  std::string out = head_bytes(status, headers, form);
  if (!form.is_http_1_0) out += "Transfer-Encoding: chunked\r\n";
  return out += "\r\n";
}

std::string stream_piece_bytes(std::string_view bytes, const ReplyForm& form) {
  if (bytes.empty() || form.is_head) return {};
  if (form.is_http_1_0) return std::string(bytes);
  std::string out = fmt::format("{:x}\r\n", bytes.size());
  out.reserve(out.size() + bytes.size() + 2);
  out += bytes;
  return out += "\r\n";
}

std::string stream_end_bytes(const ReplyForm& form) {
  return form.is_head || form.is_http_1_0 ? "" : "0\r\n\r\n";
}

std::string http_date(std::time_t time) {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc = {};
  gmtime_r(&time, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                     kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

}  // namespace fourfold
