// The files of the chat page, which are part of the program.
//
//   if (const PageFile* file = find_page_file("/")) send(file->bytes);
//
// Which ones there are is chosen when the program is built: page_embedded.cpp, written by
// apps/web/build.mjs, or page_none.cpp.
#pragma once

#include <span>
#include <string_view>

namespace fourfold {

struct PageFile {
  std::string_view path;  // "/", "/assets/app-K3JZ.js"
  std::string_view type;  // its Content-Type
  std::string_view etag;  // with its quotes
  std::string_view bytes;
  std::string_view gzip_bytes;  // the same, compressed; empty where that gains nothing
};

std::span<const PageFile> page_files();

inline const PageFile* find_page_file(std::string_view path) {
  for (const PageFile& file : page_files()) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

}  // namespace fourfold
