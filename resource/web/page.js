// What the page does by itself, without asking the server. Runs once, when the page has been built; DATA is put before
// it by catvton/web/events_language.py, which also asks for what stands in `window.studio`.

const PHONE = window.matchMedia("(max-width: 640px)");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- language -------------------------------------------------------------------------------------------------------

const remembered = () => { try { return localStorage.getItem("studio-language"); } catch { return null; } };
const remember = language => { try { localStorage.setItem("studio-language", language); } catch { /* a closed shop */ } };

function wanted() {
  const tags = [remembered(), ...navigator.languages].filter(Boolean).map(tag => tag.toLowerCase().split("-")[0]);
  return tags.find(tag => DATA.languages.includes(tag)) ?? DATA.languages[0];
}

const spoken = () => document.querySelector("#language input:checked")?.value ?? DATA.languages[0];

// ---- what gradio's parts lack ---------------------------------------------------------------------------------------

const set = (element, name, value) => {
  if (value !== null && element.getAttribute(name) !== value) element.setAttribute(name, value);
};

function polish() {
  const language = spoken(), words = DATA.words[language];
  const word = said => words[said] ?? said?.replace(/^(range slider|number input) for /, "") ?? null;
  set(document.documentElement, "lang", language);
  for (const element of all("[aria-label], [title]"))
    for (const name of ["aria-label", "title"])
      set(element, name, word(element.getAttribute(name)));
  for (const group of all("fieldset.block[id]")) {  // each choice would be a group of its own
    set(group, "role", "radiogroup");
    set(group, "aria-label", group.querySelector("[data-testid=block-info]")?.textContent.trim() ?? "");
    for (const input of all("input[type=radio]", group)) set(input, "name", group.id);
  }
  for (const button of all(".gr-accordion > button"))
    set(button, "aria-expanded", String(button.classList.contains("open")));
  for (const range of all(".studio-compare input")) move(range);
  for (const canvas of all(".studio-canvas canvas")) layOut(canvas);
  showBrush();
  say();
}

// ---- what an installed page needs -----------------------------------------------------------------------------------

function head(tag, attributes) {
  document.head.appendChild(Object.assign(document.createElement(tag), attributes));
}

head("link", { rel: "apple-touch-icon", href: "icon-192.png" });
head("meta", { name: "theme-color", content: "#724a98" });

// ---- what is read out -----------------------------------------------------------------------------------------------

const voice = document.body.appendChild(document.createElement("div"));
voice.id = "studio-voice";
voice.setAttribute("role", "status");

function say() {
  const said = all("[data-say]").at(-1)?.dataset.say ?? "";
  if (said && voice.textContent !== said) voice.textContent = said;
}

// ---- touches --------------------------------------------------------------------------------------------------------

function move(range) {
  range.parentElement.style.setProperty("--at", range.value + "%");
}

function takePhoto(slot) {
  const input = document.querySelector(`#${slot} input[type=file]`);
  input.setAttribute("capture", "environment");
  input.click();
  setTimeout(() => input.removeAttribute("capture"), 1000);
}

function enlarge(figure) {
  if (document.fullscreenElement) document.exitFullscreen();
  else figure.requestFullscreen?.();
}

// ---- painting the area that changes ---------------------------------------------------------------------------------

const INK = "#e2466f", BACK = 12;  // the colour of catvton/web/painting.py; so many strokes can be taken back
const brush = { erasing: false, width: 6 };  // per cent of the photo's longer side
let sheet = null;

function layOut(canvas) {
  const { sheet: number } = canvas.parentElement.dataset, before = sheet?.number === number ? sheet : null;
  if (before?.canvas === canvas) return;
  sheet = { number, canvas, past: [], touched: false, x: canvas.width / 2, y: canvas.height / 2, ...before };
  sheet.canvas = canvas;
  sheet.pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!before) sheet.pen.clearRect(0, 0, canvas.width, canvas.height);  // gradio may have kept the element
  if (before) sheet.pen.drawImage(before.canvas, 0, 0);  // the same one, put up anew
  if (canvas.dataset.found && !before) drawFound(sheet, canvas.dataset.found);
  else canvas.dataset.ready = "";
}

function drawFound({ canvas, pen }, link) {
  const found = new Image();
  found.onload = () => { pen.drawImage(found, 0, 0); canvas.dataset.ready = ""; };
  found.src = link;
}

const reach = () => brush.width / 200 * Math.max(sheet.canvas.width, sheet.canvas.height);

function pointAt(x, y) {
  const { canvas } = sheet, spot = canvas.parentElement.querySelector(".studio-spot");
  Object.assign(sheet, { x: Math.min(Math.max(x, 0), canvas.width), y: Math.min(Math.max(y, 0), canvas.height) });
  spot.style.cssText = `left: ${100 * sheet.x / canvas.width}%; top: ${100 * sheet.y / canvas.height}%; ` +
    `width: ${200 * reach() / canvas.width}%`;
}

function note() {
  const { pen, canvas, past } = sheet;
  past.push(pen.getImageData(0, 0, canvas.width, canvas.height));
  if (past.length > BACK) past.shift();
  sheet.touched = true;
}

function stroke(x, y) {
  const { pen } = sheet;
  pen.globalCompositeOperation = brush.erasing ? "destination-out" : "source-over";
  Object.assign(pen, { strokeStyle: INK, lineWidth: 2 * reach(), lineCap: "round" });
  pen.beginPath();
  pen.moveTo(sheet.x, sheet.y);
  pointAt(x, y);
  pen.lineTo(sheet.x, sheet.y);
  pen.stroke();
  pen.globalCompositeOperation = "source-over";
}

const deeds = {
  brush() { brush.erasing = false; },
  eraser() { brush.erasing = true; },
  undo() { if (sheet?.past.length) sheet.pen.putImageData(sheet.past.pop(), 0, 0); },
  clear() { if (sheet) { note(); sheet.pen.clearRect(0, 0, sheet.canvas.width, sheet.canvas.height); } },
};

function showBrush() {
  for (const button of all("[data-paint][aria-pressed]"))
    set(button, "aria-pressed", String((button.dataset.paint === "eraser") === brush.erasing));
  for (const range of all("input[data-paint]")) range.value = brush.width;
}

function pixel(event) {
  const { left, top, width, height } = sheet.canvas.getBoundingClientRect();
  return [(event.clientX - left) / width * sheet.canvas.width, (event.clientY - top) / height * sheet.canvas.height];
}

let drawing = false;
document.addEventListener("pointerdown", event => {
  if (event.target !== sheet?.canvas || event.button) return;
  drawing = true;
  event.target.setPointerCapture(event.pointerId);
  note();
  pointAt(...pixel(event));
  stroke(...pixel(event));
});
document.addEventListener("pointermove", event => {
  if (event.target === sheet?.canvas) (drawing ? stroke : pointAt)(...pixel(event));
});
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { drawing = false; });

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
document.addEventListener("keydown", event => {  // arrows move the brush, with the shift key or the space bar it paints
  const step = event.target === sheet?.canvas && STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const [x, y] = step.map((way, axis) => sheet[axis ? "y" : "x"] + way * Math.max(4, reach() / 2));
  if (!event.shiftKey && event.key !== " ") return pointAt(x, y);
  if (!event.repeat) note();
  stroke(x, y);
});

// What the server is told: nothing, so that it finds the area itself, unless a hand has been at it.
const painted = () => sheet?.touched ? `${sheet.number} ${sheet.canvas.toDataURL()}` : "";

// ---- what is listened to --------------------------------------------------------------------------------------------

document.addEventListener("input", event => {
  if (event.target.matches(".studio-compare input")) move(event.target);
  if (event.target.dataset.paint === "width") brush.width = Number(event.target.value);
});
document.addEventListener("change", event => {
  if (event.target.matches("#language input")) remember(event.target.value);
});
document.addEventListener("click", event => {
  const camera = event.target.closest("[data-camera]"), button = event.target.closest(".studio-enlarge");
  deeds[event.target.closest("button[data-paint]")?.dataset.paint]?.();
  showBrush();
  if (camera) takePhoto(camera.dataset.camera);
  if (button) enlarge(button.closest("figure"));
});

window.studio = {
  language: wanted,
  painted,
  spoken() { polish(); document.body.classList.add("studio-ready"); },
  reveal(selector) {
    if (PHONE.matches) document.querySelector(selector)?.scrollIntoView({ block: "center" });
  },
};

let due = false;
new MutationObserver(() => {
  if (due) return;
  due = true;
  requestAnimationFrame(() => { due = false; polish(); });
}).observe(document.querySelector("gradio-app") ?? document.body, { childList: true, subtree: true, attributes: true,
  attributeFilter: ["class", "aria-label", "title", "data-say", "data-sheet"] });
if (wanted() === DATA.languages[0]) document.body.classList.add("studio-ready");
