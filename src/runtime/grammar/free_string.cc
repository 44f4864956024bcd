// Strings of which nothing is asked but that they are well formed.

#include <string_view>

#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {

int Free::next_canonical(int state, uint8_t byte) {
  enum : int { kEscape = 1, kU = 101, kU0, kU00, kU000, kU001 };
  const bool hex = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
  switch (state) {
    case kEscape:
      if (byte == 'u') return kU;
      return byte == '/' ? kDead : next(state, byte);
    case kU:
      return byte == '0' ? kU0 : kDead;
    case kU0:
      return byte == '0' ? kU00 : kDead;
    case kU00:
      return byte == '0' ? kU000 : byte == '1' ? kU001 : kDead;
    case kU000: {  // not those that have a short form
      const uint8_t low = byte | 32;
      return hex && byte != '8' && byte != '9' && low != 'a' && low != 'c' && low != 'd' ? kClean : kDead;
    }
    case kU001:
      return hex ? kClean : kDead;
    default:
      return next(state, byte);
  }
}

int Free::next(int state, uint8_t byte) {
  enum : int {
    kEscape = 1,
    kHex4,
    kHex3,
    kHex2,
    kHex1,
    kAfterD,
    kHigh2,
    kHigh1,
    kLowSlash,
    kLowU,
    kLowD,
    kLow3,
    kLow2,
    kLow1,
    kTail1,
    kTail2,
    kTail3,
    kE0,
    kED,
    kF0,
    kF4
  };
  const bool hex = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'f');
  const auto when = [](bool condition, int to) { return condition ? to : kDead; };
  const auto tail = [&](uint8_t first, uint8_t last, int to) {
    return when(byte >= first && byte <= last, to);
  };
  switch (state) {
    case kClean:
      if (byte == '"') return kQuote;
      if (byte == '\\') return kEscape;
      if (byte < 0x80) return byte < 0x20 ? kDead : kClean;
      if (byte >= 0xC2 && byte <= 0xDF) return kTail1;
      if (byte == 0xE0) return kE0;
      if (byte == 0xED) return kED;
      if (byte >= 0xE1 && byte <= 0xEF) return kTail2;
      if (byte == 0xF0) return kF0;
      if (byte >= 0xF1 && byte <= 0xF3) return kTail3;
      return when(byte == 0xF4, kF4);
    case kEscape:
      if (byte == 'u') return kHex4;
      return when(
          byte != 0 && std::string_view("\"\\/bfnrt").find(static_cast<char>(byte)) != std::string_view::npos,
          kClean);
    case kHex4:
      return when(hex, (byte | 32) == 'd' ? kAfterD : kHex3);
    case kAfterD:
      if (byte >= '0' && byte <= '7') return kHex2;
      return when(byte == '8' || byte == '9' || (byte | 32) == 'a' || (byte | 32) == 'b', kHigh2);
    case kHex3:
      return when(hex, kHex2);
    case kHex2:
      return when(hex, kHex1);
    case kHex1:
      return when(hex, kClean);
    case kHigh2:
      return when(hex, kHigh1);
    case kHigh1:
      return when(hex, kLowSlash);
    case kLowSlash:
      return when(byte == '\\', kLowU);
    case kLowU:
      return when(byte == 'u', kLowD);
    case kLowD:
      return when((byte | 32) == 'd', kLow3);
    case kLow3:
      return when((byte | 32) >= 'c' && (byte | 32) <= 'f', kLow2);
    case kLow2:
      return when(hex, kLow1);
    case kLow1:
      return when(hex, kClean);
    case kTail1:
      return tail(0x80, 0xBF, kClean);
    case kTail2:
      return tail(0x80, 0xBF, kTail1);
    case kTail3:
      return tail(0x80, 0xBF, kTail2);
    case kE0:
      return tail(0xA0, 0xBF, kTail1);
    case kED:
      return tail(0x80, 0x9F, kTail1);
    case kF0:
      return tail(0x90, 0xBF, kTail2);
    case kF4:
      return tail(0x80, 0x8F, kTail2);
    default:
      return kDead;
  }
}

}  // namespace bantam::runtime::grammar
