#pragma once
#include "net/awaitable.h"

namespace bantam::chat {

namespace asio = boost::asio;
using net::Awaitable;
using net::wait;

}  // namespace bantam::chat
