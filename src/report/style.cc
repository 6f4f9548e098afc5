// The page's style sheet. Series colors: blue, vermilion, green, purple, amber, sky and gray, after the palette of
// Okabe and Ito ("Color Universal Design", 2008), each darkened or lightened until text in it reaches a contrast of 4.5
// on its background. No two series differ by hue alone: lines carry labels, points also shapes.
#include "report/html.h"

namespace ballast::report {

const char* const kStyleSheet = R"css(
:root{color-scheme:light dark;--bg:#fdfdfb;--fg:#1b1f24;--muted:#5f6770;--rule:#dcdcd5;--grid:#ebebe5;--panel:#f5f4ef;
--c0:#0067b1;--c1:#c24a06;--c2:#007a58;--c3:#9b3f97;--c4:#8a6500;--c5:#0b7fa8;--c6:#6a7078;--warn:#fbeedd;--warnline:#c24a06}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e8ea;--muted:#9ba4ae;--rule:#30363e;--grid:#262b32;
--panel:#1c2026;--c0:#5cb3f5;--c1:#f59257;--c2:#40c79a;--c3:#dd97d8;--c4:#dfba52;--c5:#7fd3ee;--c6:#9ba4ae;--warn:#33241a;
--warnline:#f59257}}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}.c6{--c:var(--c6)}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",
"Liberation Sans",Arial,sans-serif;font-feature-settings:"kern","liga"}
main{max-width:1104px;margin:0 auto;padding:40px 32px 56px}
h1{font-size:34px;line-height:1.15;letter-spacing:-.02em;margin:0 0 6px;font-weight:700;overflow-wrap:anywhere}
.lead{font-size:18px;color:var(--muted);margin:0 0 26px;max-width:none}.eyebrow{font-size:13px;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:var(--c0);margin:0 0 8px}
h2{font-size:23px;line-height:1.25;letter-spacing:-.012em;margin:60px 0 10px;padding-top:20px;border-top:1px solid var(--rule)}
h3{font-size:16px;line-height:1.35;margin:0 0 10px;font-weight:650}
h4{font-size:14px;line-height:1.35;margin:0 0 6px;font-weight:600;color:var(--muted)}
p{margin:0 0 14px;max-width:76ch}
a{color:var(--c0)}
nav{display:flex;flex-wrap:wrap;gap:6px 20px;margin:30px 0 0;font-size:15px}
nav a{text-decoration:none;border-bottom:1px solid var(--rule);padding-bottom:1px}
nav a:hover{border-color:currentColor}
.banner{background:var(--warn);border-left:4px solid var(--warnline);padding:12px 16px;margin:0 0 28px;max-width:none;border-radius:0 4px 4px 0}
.facts{display:grid;grid-template-columns:repeat(4,1fr);gap:16px 28px;margin:0 0 26px;padding:18px 0;
border-top:1px solid var(--rule);border-bottom:1px solid var(--rule)}
.facts div{min-width:0}.facts .w2{grid-column:span 2}.facts .w4{grid-column:1/-1}
.facts dt{font-size:12.5px;color:var(--muted);line-height:1.4}
.facts dd{margin:1px 0 0;font-size:15.5px;line-height:1.4;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:14px;margin:26px 0 0}
.tile{background:var(--panel);border-radius:8px;padding:15px 16px 14px}
.tile b{display:block;font-size:29px;line-height:1.15;letter-spacing:-.02em;font-weight:650;font-variant-numeric:tabular-nums}
.tile b small{font-size:15px;font-weight:500;letter-spacing:0;color:var(--muted)}
.tile span{display:block;font-size:13.5px;line-height:1.4}.tile i{display:block;font-style:normal;font-size:13px;line-height:1.4;color:var(--muted);margin-top:3px}
figure{margin:30px 0 38px}
figcaption{font-size:14px;line-height:1.5;color:var(--muted);margin-top:10px;max-width:88ch}
figcaption b{color:var(--fg);font-weight:600}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:8px 32px}.panel{min-width:0}
.phone{display:none}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-family:inherit;font-variant-numeric:tabular-nums}
.grid{stroke:var(--grid);fill:none;shape-rendering:crispEdges}.axis{stroke:var(--muted);fill:none;shape-rendering:crispEdges}
.tick{font-size:12px;fill:var(--muted)}.axis-label{font-size:12.5px;fill:var(--muted)}
.line{fill:none;stroke:var(--c);stroke-width:2.1;stroke-linejoin:round;stroke-linecap:round}
.faint{fill:none;stroke:var(--c);stroke-width:1;opacity:.42;stroke-linejoin:round}
.dashed{stroke-dasharray:6 4}.band{fill:var(--c);opacity:.16}.name{font-size:13px;font-weight:600;fill:var(--c)}
.dot{fill:var(--c);stroke:var(--bg);stroke-width:1.2}
.ref{stroke:var(--muted);stroke-width:1.1;stroke-dasharray:5 4;fill:none}.ref-label{font-size:12px;fill:var(--muted)}
.halo{paint-order:stroke;stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}
.bar{fill:var(--c)}.quiet{fill:color-mix(in srgb,var(--c) 48%,var(--bg))}.bar-label{font-size:13px;fill:var(--fg)}.bar-value{font-size:13px;fill:var(--fg)}
.error{stroke:var(--fg);stroke-width:1.3}.whisker{stroke:var(--c);stroke-width:1.3;opacity:.75}
path.lead{fill:none;stroke:var(--c);stroke-width:1;stroke-dasharray:1.5 3;opacity:.9}
.mark{stroke:var(--c);stroke-width:2}.thread{fill:none;stroke:var(--c);stroke-width:1;opacity:.3}.point-label{font-size:12px;fill:var(--c)}
.aa{fill:var(--muted);opacity:.22}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 20px;margin:0 0 8px;padding:0;font-size:14px}
.legend li{display:flex;align-items:center;gap:7px}
.legend svg{width:14px;height:14px}.legend li:not(.keyed)::before{content:"";width:16px;height:3px;border-radius:2px;background:var(--c)}
.scroll{overflow-x:auto;margin:14px 0 26px;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:14.5px;line-height:1.4;min-width:min(100%,430px)}
th{font-weight:600;font-size:13px;color:var(--muted);text-align:left;vertical-align:bottom;border-bottom:1px solid var(--muted)}
th,td{padding:6px 18px 6px 0;white-space:nowrap}th{white-space:normal}th:first-child,td:first-child{position:sticky;left:0;background:var(--bg)}th:last-child,td:last-child{padding-right:2px}
td{border-bottom:1px solid var(--grid)}
.n{text-align:right;font-variant-numeric:tabular-nums}
.definitions{margin:14px 0 0}.definitions>div{display:grid;grid-template-columns:330px 1fr;gap:0 24px;padding:8px 0;border-bottom:1px solid var(--grid)}
.definitions dt small{color:var(--muted);font-size:13px;margin-left:6px}.definitions dd{margin:0;font-size:15px}.definitions code{font-size:13.5px}
.badge{font-size:11.5px;color:var(--warnline);border:1px solid currentColor;border-radius:9px;padding:0 7px;margin-left:5px;white-space:nowrap}
pre{background:var(--panel);border-radius:8px;padding:13px 16px;overflow-x:auto;font-size:13px;line-height:1.5;margin:0 0 14px}
code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace}
.completion{display:grid;grid-template-columns:1fr 1fr;gap:0 24px}.completion>div{min-width:0}.completion .w2{grid-column:1/-1}
details{margin:12px 0}summary{cursor:pointer;color:var(--c0);font-size:15px}details>*:not(summary){margin-top:10px}
.heat+.heat{margin-top:18px}.heat{display:grid;column-gap:14px;row-gap:5px;align-items:center;font-size:12.5px;color:var(--muted);line-height:1.3}
.heat img{display:block;width:100%;height:64px;image-rendering:pixelated;background:var(--bg);outline:1px solid var(--rule)}
.heat .arm{font-weight:600;font-size:13px;color:var(--c);white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.heat .row{white-space:nowrap;text-align:right}
.heat .x{display:flex;justify-content:space-between;font-variant-numeric:tabular-nums}
.scale{display:flex;align-items:center;gap:10px;font-size:13px;color:var(--muted);margin:4px 0 14px;flex-wrap:wrap}
.scale .bar-box{width:260px;max-width:100%}.scale img{display:block;width:100%;height:12px;background:var(--bg);outline:1px solid var(--rule)}
.scale .ends{display:flex;justify-content:space-between;font-size:12px;font-variant-numeric:tabular-nums;margin-top:2px;position:relative;height:16px}
.scale .ends span{position:absolute;transform:translateX(-50%)}.scale .ends span:first-child{transform:none}.scale .ends span:last-child{transform:translateX(-100%)}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--rule);font-size:13.5px;color:var(--muted)}
@media(max-width:899px){.wide{display:none}.phone{display:block}.completion{grid-template-columns:1fr}
.facts,.tiles{grid-template-columns:1fr 1fr}.definitions>div{grid-template-columns:1fr}}
@media(max-width:699px){.pair{grid-template-columns:1fr}}
@media(max-width:560px){main{padding:24px 16px 40px}h1{font-size:27px}.lead{font-size:16px}h2{font-size:20px;margin-top:44px}
.facts{gap:12px 18px}.facts .w2{grid-column:1/-1}.tile{padding:12px}.tile b{font-size:23px}.tiles{gap:10px}
.heat{column-gap:7px}.heat img{height:46px}.heat{font-size:11px}.heat .arm{font-size:10px}th.n{min-width:84px}th,td{padding-right:14px}th:first-child,td:first-child{white-space:normal;max-width:124px}
table{font-size:14px}}
@media print{main{max-width:none;padding:0}figure,table,pre{break-inside:avoid}nav{display:none}}
)css";

}  // namespace ballast::report
