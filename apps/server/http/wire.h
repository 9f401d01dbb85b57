// The bytes of a reply: its head, the frames of a stream.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "server/http/exchange.h"

namespace fourfold {

// What the request settles about the form of its reply.
struct ReplyForm {
  bool is_http_1_0 = false;  // no chunks: the end of the connection ends a stream
  bool is_head = false;      // method HEAD: no body follows
  bool keep_alive = true;
};

std::string whole_reply_bytes(const Reply& reply, const ReplyForm& form);

std::string stream_head_bytes(int status, const HeaderList& headers, const ReplyForm& form);
// Nothing for no bytes: an empty chunk would end the stream.
std::string stream_piece_bytes(std::string_view bytes, const ReplyForm& form);
std::string stream_end_bytes(const ReplyForm& form);

// "Sun, 06 Nov 1994 08:49:37 GMT", in every locale.
std::string http_date(std::time_t time);

}  // namespace fourfold
