// What the known values of "format" accept, as patterns over the whole text.

#include <array>

#include "runtime/grammar/regex.h"

namespace bantam::runtime::grammar {
namespace {

#define BANTAM_DATE                                                                                          \
  "((\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]" \
  ")))"                                                                                                      \
  "|(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[048]|[2468][048]|[13579][26])00)-02-29)"
#define BANTAM_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d+)?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define BANTAM_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define BANTAM_OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define BANTAM_IPV4 BANTAM_OCTET "(\\." BANTAM_OCTET "){3}"
#define BANTAM_H16 "[0-9A-Fa-f]{1,4}"
#define BANTAM_LS32 "(" BANTAM_H16 ":" BANTAM_H16 "|" BANTAM_IPV4 ")"
// RFC 3986, section 3.2.2.
#define BANTAM_IPV6                                                                                \
  "((" BANTAM_H16 ":){6}" BANTAM_LS32 "|::(" BANTAM_H16 ":){5}" BANTAM_LS32 "|(" BANTAM_H16        \
  ")?::(" BANTAM_H16 ":){4}" BANTAM_LS32 "|((" BANTAM_H16 ":){0,1}" BANTAM_H16 ")?::(" BANTAM_H16  \
  ":){3}" BANTAM_LS32 "|((" BANTAM_H16 ":){0,2}" BANTAM_H16 ")?::(" BANTAM_H16 ":){2}" BANTAM_LS32 \
  "|((" BANTAM_H16 ":){0,3}" BANTAM_H16 ")?::" BANTAM_H16 ":" BANTAM_LS32 "|((" BANTAM_H16         \
  ":){0,4}" BANTAM_H16 ")?::" BANTAM_LS32 "|((" BANTAM_H16 ":){0,5}" BANTAM_H16 ")?::" BANTAM_H16  \
  "|((" BANTAM_H16 ":){0,6}" BANTAM_H16 ")?::)"
#define BANTAM_ESCAPED "%[0-9A-Fa-f]{2}"
#define BANTAM_PCHAR "([A-Za-z0-9._~!$&'()*+,;=:@-]|" BANTAM_ESCAPED ")"
#define BANTAM_AUTHORITY                                                  \
  "(([A-Za-z0-9._~!$&'()*+,;=:-]|" BANTAM_ESCAPED ")*@)?(\\[" BANTAM_IPV6 \
  "\\]|([A-Za-z0-9._~!$&'()*+,;=-]|" BANTAM_ESCAPED ")*)(:\\d*)?"
#define BANTAM_QUERY "(\\?(" BANTAM_PCHAR "|[/?])*)?(#(" BANTAM_PCHAR "|[/?])*)?"
#define BANTAM_SEGMENTS "(/" BANTAM_PCHAR "*)*"
#define BANTAM_URI                                                                                       \
  "[A-Za-z][A-Za-z0-9+.-]*:(//" BANTAM_AUTHORITY BANTAM_SEGMENTS "|/?(" BANTAM_PCHAR "+" BANTAM_SEGMENTS \
  ")?)" BANTAM_QUERY

struct Format {
  std::string_view name, pattern;
};

constexpr std::array kFormats{
    Format{"date-time", BANTAM_DATE "[Tt]" BANTAM_TIME},
    Format{"date", BANTAM_DATE},
    Format{"time", BANTAM_TIME},
    Format{"duration",
           "P(\\d+W|\\d+Y(\\d+M(\\d+D)?)?(T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S))?|\\d+M(\\d+D)?(T(\\d+"
           "H(\\d+M(\\d+S)?)?|\\d+M(\\d+"
           "S)?|\\d+S))?|\\d+D(T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S))?|T(\\d+H(\\d+M(\\d+S)?)?|\\d+M("
           "\\d+S)?|\\d+S))"},
    Format{"email", "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@" BANTAM_LABEL
                    "(\\." BANTAM_LABEL ")*"},
    Format{"hostname", BANTAM_LABEL "(\\." BANTAM_LABEL ")*"},
    Format{"ipv4", BANTAM_IPV4},
    Format{"ipv6", BANTAM_IPV6},
    Format{"uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"},
    Format{"uri", BANTAM_URI},
    Format{"uri-reference",
           "(" BANTAM_URI "|(//" BANTAM_AUTHORITY BANTAM_SEGMENTS "|/(" BANTAM_PCHAR "+" BANTAM_SEGMENTS
           ")?|([A-Za-z0-9._~!$&'()*+,;=@-]|" BANTAM_ESCAPED ")+" BANTAM_SEGMENTS ")?" BANTAM_QUERY ")"},
    Format{"json-pointer", "(/([^~/]|~[01])*)*"},
    Format{"relative-json-pointer", "(0|[1-9]\\d*)(#|(/([^~/]|~[01])*)*)"},
};

}  // namespace

std::string_view format_pattern(std::string_view format) {
  for (const auto& known : kFormats) {
    if (known.name == format) return known.pattern;
  }
  return {};
}

}  // namespace bantam::runtime::grammar
