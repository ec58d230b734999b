/** Of the printed page: black on white, A4 or Letter, nothing loaded from anywhere. Size of the QR code: 55 mm, which any telephone reads. */
export const PAGE_STYLE = `
@page { margin: 16mm; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 180mm; padding: 8mm 4mm; background: #fff; color: #000; font: 10.5pt/1.45 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 18pt; margin: 0; }
h2 { font-size: 12pt; margin: 6mm 0 2mm; border-bottom: .3mm solid #000; }
p { margin: 1.5mm 0; }
ol, ul { margin: 0; padding-left: 6mm; }
li { margin: 1mm 0; }
code, pre { font: 9pt/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 0; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .8mm 3mm .8mm 0; }
th { font-weight: normal; white-space: nowrap; }
.secret { border: .8mm solid #000; padding: 4mm; margin-top: 5mm; display: flex; gap: 6mm; align-items: center; }
.secret svg { flex: none; width: 55mm; height: 55mm; }
.secret .text { word-break: break-all; font: bold 12pt/1.6 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
section, tr, li { break-inside: avoid; }
@media print { body { max-width: none; padding: 0; } }
`;
