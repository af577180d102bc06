// What another threshold would have decided on the test samples. The page is whole without it: the slider stands hidden until here.
"use strict";
for (const box of document.querySelectorAll("[data-steps]")) {
  const steps = JSON.parse(box.dataset.steps); // [threshold, false alarms, found], thresholds rising
  const normal = Number(box.dataset.normal), abnormal = Number(box.dataset.abnormal), begin = Number(box.dataset.at);
  const named = "calibrated" in box.dataset; // the step that it begins at
  const range = box.querySelector("input"), said = box.querySelector("output");
  const text = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const percent = (k, n) => (n ? (100 * k / n).toFixed(1) + "\u00a0%" : "");
  const ratio = (k, n) => (n ? (k / n).toFixed(3) : "none called abnormal");
  const cell = (name, k, n) => {
    const td = box.querySelector(`[data-cell=${name}]`);
    td.firstChild.data = text(k);
    td.lastChild.textContent = percent(k, n);
  };
  const show = () => {
    const [threshold, alarms, found] = steps[range.value];
    cell("found", found, abnormal);
    cell("missed", abnormal - found, abnormal);
    cell("alarms", alarms, normal);
    cell("quiet", normal - alarms, normal);
    const is = named && Number(range.value) === begin ? ", the calibrated one" : "";
    const words = `Threshold ${Number(threshold.toPrecision(4))}${is}`;
    said.textContent = `${words}: precision ${ratio(found, found + alarms)}, recall ${ratio(found, abnormal)}`;
    range.setAttribute("aria-valuetext", words);
  };
  range.addEventListener("input", show);
  box.querySelector("button").addEventListener("click", () => {
    range.value = begin;
    show();
  });
  box.hidden = false;
  show();
}
