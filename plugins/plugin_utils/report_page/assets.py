# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Style and script of the page: part of it, so that it is one file and asks no network."""
from __future__ import annotations

STYLE = """
:root{--back:#fff;--text:#1a1d21;--soft:#555c66;--line:#c9ced6;--panel:#f4f6f8;--link:#0b57a4;--bad:#a8071a;--good:#0f6b34;
--p0:#2b6cb0;--p1:#8a5a00;--p2:#6b3fa0;--p3:#0f766e}
@media (prefers-color-scheme:dark){:root{--back:#14171b;--text:#e8eaed;--soft:#aab2bd;--line:#3d4550;--panel:#1d2127;--link:#8ab8f5;--bad:#ff8f8f;
--good:#6fd69a;
--p0:#5b9bd9;--p1:#d19a2e;--p2:#a884dc;--p3:#3fb8a9}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.6rem;margin:1.2rem 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--line)}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1rem;list-style:none;padding:0;margin:.6rem 0}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,input:focus-visible,select:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-100vw}.skip:focus{left:1rem;top:.5rem;background:var(--back);padding:.4rem}
.verdict{font-size:1.1rem;padding:.6rem .8rem;border-left:6px solid var(--good);background:var(--panel)}
.verdict.fails,.note{border-left:6px solid var(--bad)}.note{padding:.4rem .8rem;background:var(--panel)}
.small,.sentence{color:var(--soft);font-size:.9rem}.sentence{display:block;font-weight:400}
table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-top:1px solid var(--line);overflow-wrap:anywhere}
thead th{color:var(--soft);font-weight:600}
#claims-table td:first-child{white-space:nowrap;width:9rem}#claims-table th[scope=row]{width:45%;font-weight:600}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}
dl{margin:.3rem 0}dt{color:var(--soft);font-size:.9rem}dd{margin:0 0 .3rem 0;white-space:pre-wrap;overflow-wrap:anywhere;font:.85rem/1.4 ui-monospace,monospace}
.status.fails{color:var(--bad);font-weight:700}.status.holds{color:var(--good)}.status.does-not-apply{color:var(--soft)}
.filters{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:center;margin:.4rem 0}.filters[hidden]{display:none}
fieldset{border:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.2rem .9rem;padding:.2rem .6rem}
input,select{font:inherit;color:inherit;background:var(--back);border:1px solid var(--soft);padding:.2rem .4rem}
input[type=checkbox]{width:1.1rem;height:1.1rem;vertical-align:-.15rem}
.wide{overflow-x:auto}.drawing{min-width:52rem;width:100%;height:auto}.bar{width:100%;min-width:8rem;height:1.1rem}
svg text{fill:var(--text);font:13px system-ui,sans-serif}svg .title{font-weight:700;font-size:15px}svg .label{fill:var(--soft)}
.box{fill:var(--panel);stroke:var(--soft)}.service{stroke:var(--p0);stroke-width:2}.door{stroke:var(--good);stroke-width:2}
.missing{stroke:var(--bad);stroke-width:2;stroke-dasharray:4 3}.seal{fill:none;stroke:var(--good);stroke-dasharray:6 4}.seal.broken{stroke:var(--bad)}
.arrow{fill:none;stroke:var(--soft);stroke-width:1.5}.tip{fill:var(--soft)}
.empty{fill:var(--panel);stroke:var(--line)}.part0{fill:var(--p0)}.part1{fill:var(--p1)}.part2{fill:var(--p2)}.part3{fill:var(--p3)}
.others{fill:var(--soft)}.bad{fill:var(--bad)}.good{fill:var(--good)}
footer{color:var(--soft);font-size:.9rem;margin:2rem auto}
@media (max-width:40rem){#claims-table thead{position:absolute;left:-100vw}#claims-table tr{display:block;border-top:2px solid var(--line);padding:.3rem 0}
#claims-table td,#claims-table th[scope=row],#claims-table td:first-child{display:block;width:auto;border:0;padding:.15rem 0}
.wide thead{position:absolute;left:-100vw}.wide tr{display:block;border-top:2px solid var(--line);padding:.3rem 0}
.wide td,.wide th[scope=row]{display:block;border:0;padding:.1rem 0}.wide td::before{content:attr(data-label) ": ";color:var(--soft);font-size:.9rem}}
@media print{:root{--back:#fff;--text:#000;--soft:#444;--line:#999;--panel:#fff;--link:#000;--bad:#900;--good:#050}nav,.filters,.skip{display:none}
body{font-size:10pt}.drawing{min-width:0}.wide{overflow:visible}tr,svg{break-inside:avoid}h2{break-after:avoid}}
"""

SCRIPT = """
(function () {
  var form = document.getElementById('filters'), rows = Array.prototype.slice.call(document.querySelectorAll('#claims-table tbody tr'));
  var group = document.getElementById('of-group'), words = document.getElementById('of-words'), shown = document.getElementById('shown');
  function show() {
    var wanted = Array.prototype.slice.call(form.querySelectorAll('.of-status:checked')).map(function (box) { return box.value; });
    var text = words.value.toLowerCase(), count = 0;
    rows.forEach(function (row) {
      var seen = wanted.indexOf(row.dataset.status) >= 0 && (!group.value || row.dataset.group === group.value)
        && row.textContent.toLowerCase().indexOf(text) >= 0;
      row.hidden = !seen;
      count += seen ? 1 : 0;
    });
    shown.textContent = count + ' of ' + rows.length + ' claims';
  }
  form.addEventListener('input', show);
  form.addEventListener('submit', function (event) { event.preventDefault(); });
  form.hidden = false;
  show();
})();
"""
