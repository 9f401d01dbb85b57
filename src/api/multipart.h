// The body of a form with files: multipart/form-data (RFC 7578), strictly.
//
//   const auto boundary = TRY(read_boundary(head.header("content-type")));
//   for (const FormPart& part : TRY(parse_multipart(body, boundary))) …
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fourfold {

struct FormPart {
  std::string name;        // of the field
  std::string filename;    // as the client calls it; empty: a field of text
  std::string_view body;   // view of the bytes that were parsed
  std::size_t offset = 0;  // of the body in them, for messages
};

// The boundary of "multipart/form-data; boundary=…". InvalidArgument if it is another type or has
// none.
Result<std::string> read_boundary(std::string_view content_type);

// Every part in order. Parts without a name, nested forms, more than 100 parts and headers beyond
// 8 KiB are refused; InvalidArgument "request body: offset 17: what". `bytes` outlive the parts.
Result<std::vector<FormPart>> parse_multipart(std::string_view bytes, std::string_view boundary);

}  // namespace fourfold
