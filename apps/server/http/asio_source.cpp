// The compiled part of Asio and Beast; every other file only declares it.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
