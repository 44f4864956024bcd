#pragma once
// The report's style sheet: one palette for light, one for dark, chosen by the reader's system.

#include <string_view>

namespace bantam::eval {

inline constexpr std::string_view kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --panel: #ffffff; --ink: #1b2430; --soft: #5b6776; --rule: #dfe4ea; --stripe: #f2f6fb;
  --llm: #5b5bd6; --slm: #0b8a7a; --other: #8a94a3; --team: #2472c8; --target: #c2571a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --panel: #1a2029; --ink: #e6eaf0; --soft: #9aa6b5; --rule: #2e3743; --stripe: #202a36;
    --llm: #9d9dff; --slm: #3cc8b4; --other: #8590a0; --team: #6fb1ff; --target: #f0985c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 20px 56px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 0 0 12px; color: var(--soft); max-width: 105ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 14px; margin: 22px 0; }
.card, section { background: var(--panel); border: 1px solid var(--rule); border-radius: 10px; }
.card { padding: 16px 18px; }
.card b { display: block; font-size: 27px; line-height: 1.2; font-weight: 650; letter-spacing: -0.02em; }
.card span { display: block; margin-top: 2px; }
.card small { color: var(--soft); font-size: 13px; }
section { padding: 20px 22px; margin: 0 0 18px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 18px; }
.pair > section { margin: 0; min-width: 0; }
.pair { margin-bottom: 18px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 5px 9px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
thead th { font-weight: 600; color: var(--soft); border-bottom-width: 2px; vertical-align: bottom; }
thead th b { display: block; color: var(--ink); }
thead th small { font-weight: 400; white-space: normal; display: block; max-width: 19ch; margin-left: auto; }
tbody tr:last-child td { border-bottom: 0; }
tr.detail td { color: var(--soft); font-size: 12.5px; padding-top: 0; }
tr.detail td:first-child { padding-left: 26px; }
tr.leads td { border-bottom: 0; }
td.wrap { white-space: normal; overflow-wrap: break-word; text-align: left; }
.scroll + .scroll { margin-top: 14px; }
.scroll svg { min-width: 760px; }
td small { color: var(--soft); margin-left: 5px; font-size: 11.5px; }
td.slm, th.slm { background: var(--stripe); }
tr.calibrated td { background: var(--stripe); font-weight: 600; }
.tag { color: var(--target); font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--ink); }
svg .tick, svg .title { fill: var(--soft); }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .axis { stroke: var(--soft); fill: none; }
svg .name { paint-order: stroke; stroke: var(--panel); stroke-width: 4px; stroke-linejoin: round; }
svg .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
svg .reference { stroke-width: 1.5; stroke-dasharray: 6 4; }
svg .error { fill: none; stroke-width: 1.4; opacity: 0.6; }
svg .leader { stroke: var(--soft); stroke-width: 1; }
svg .marker { stroke: var(--panel); stroke-width: 1.5; }
svg .band { opacity: 0.13; }
svg .llm { stroke: var(--llm); } svg .marker.llm { fill: var(--llm); stroke: var(--panel); }
svg .slm { stroke: var(--slm); } svg .marker.slm { fill: var(--slm); stroke: var(--panel); }
svg .other { stroke: var(--other); } svg .marker.other { fill: var(--other); stroke: var(--panel); }
svg .line.team { stroke: var(--team); } svg .band.team { fill: var(--team); }
svg .target { stroke: var(--target); } svg .marker.calibrated { fill: var(--target); stroke: var(--panel); }
svg .bar { stroke: none; } svg .bar.slm { fill: var(--slm); opacity: 0.35; } svg .bar.count { fill: var(--slm); }
svg .line.ideal { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 6 4; }
footer { color: var(--soft); font-size: 13px; }
@media print { body { background: none; } section, .card { break-inside: avoid; } }
)css";

}  // namespace bantam::eval
