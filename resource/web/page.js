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

const set = (element, name, value) => { if (element.getAttribute(name) !== value) element.setAttribute(name, value); };

function polish() {
  const language = spoken(), words = DATA.words[language];
  set(document.documentElement, "lang", language);
  for (const element of all("[aria-label], [title]"))
    for (const name of ["aria-label", "title"])
      if (words[element.getAttribute(name)]) set(element, name, words[element.getAttribute(name)]);
  for (const group of all("fieldset.block[id]")) {  // each choice would be a group of its own
    set(group, "role", "radiogroup");
    set(group, "aria-label", group.querySelector("[data-testid=block-info]")?.textContent.trim() ?? "");
    for (const input of all("input[type=radio]", group)) set(input, "name", group.id);
  }
  for (const button of all(".gr-accordion > button"))
    set(button, "aria-expanded", String(button.classList.contains("open")));
  for (const range of all(".studio-compare input")) move(range);
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

document.addEventListener("input", event => {
  if (event.target.matches(".studio-compare input")) move(event.target);
});
document.addEventListener("change", event => {
  if (event.target.matches("#language input")) remember(event.target.value);
});
document.addEventListener("click", event => {
  const camera = event.target.closest("[data-camera]"), button = event.target.closest(".studio-enlarge");
  if (camera) takePhoto(camera.dataset.camera);
  if (button) enlarge(button.closest("figure"));
});

window.studio = {
  language: wanted,
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
  attributeFilter: ["class", "aria-label", "title", "data-say"] });
if (wanted() === DATA.languages[0]) document.body.classList.add("studio-ready");
