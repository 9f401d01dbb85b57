// A program that was built without Node.js has this page.
#include "server/page.h"

namespace fourfold {
namespace {

constexpr PageFile kFiles[] = {{
    .path = "/",
    .type = "text/html; charset=utf-8",
    .etag = "\"none\"",
    .bytes =
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Fourfold</title>\n"
        "<p>Fourfold is running, but this program was built without its chat page: install "
        "Node.js 18 or newer with npm, then build again with <code>-DFOURFOLD_PAGE=ON</code>.</p>\n"
        "</html>\n",
    .gzip_bytes = "",
}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace fourfold
