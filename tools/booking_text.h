#pragma once
// Invented table bookings: a message as a guest would write it, and the one line a booking system wants of
// it. The free-text task of recipes/team.

#include <string>
#include <vector>

#include "base/rng.h"

namespace bantam::tools {

struct Booking {
  std::string name;  // "Marlowick"
  int guests = 2, month = 1, day = 1, hour = 19, minute = 0;
};

struct BookingMessage {
  std::string text;  // one line
  Booking booking;
};

/// "name=Marlowick guests=4 date=05-03 time=19:30".
std::string answer_of(const Booking& booking);
/// The four fields of the answer.
std::vector<std::string> fields_of(const Booking& booking);

/// A message and what it asks for; some state a value first and take it back. Never two values of one field
/// of which a careful reader could not say which is meant.
BookingMessage draw_message(Rng& rng);
/// Another booking: one or two fields changed in ways in which a reader in a hurry errs.
Booking corrupted(const Booking& booking, Rng& rng);
std::string draw_name(Rng& rng);

}  // namespace bantam::tools
