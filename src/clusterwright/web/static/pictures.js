// Draws every Vega-Lite specification of a page, in its theme; the library is fetched when needed.

const HERE = new URL("./vendor/", import.meta.url);
const DARK = matchMedia("(prefers-color-scheme: dark)");
let library = null;

function script(name) {
  return new Promise((done, failed) => {
    const element = document.createElement("script");
    element.src = new URL(name, HERE);
    element.onload = done;
    element.onerror = () => failed(new Error(`cannot load ${name}`));
    document.head.append(element);
  });
}

async function loaded() {
  await script("vega.min.js");
  const [interpreter, themes] = await Promise.all([
    import("./vendor/vega-interpreter.js"),
    fetch("/themes.json").then((answer) => answer.json()),
    script("vega-lite.min.js"),
  ]);
  return { expr: interpreter.expressionInterpreter, themes };
}

async function draw(place) {
  const spec = JSON.parse(place.nextElementSibling.textContent);
  library ??= loaded();
  const { expr, themes } = await library;
  const config = themes[DARK.matches ? "dark" : "light"];
  const compiled = window.vegaLite.compile(spec, { config }).spec;
  const flow = window.vega.parse(compiled, null, { ast: true });
  place.view?.finalize();
  tip.hidden = true; // it may be about what is gone
  place.replaceChildren();
  place.view = new window.vega.View(flow, {
    container: place,
    expr,
    renderer: "svg",
    hover: true,
    tooltip: (_handler, event, item, value) => say(event, value),
  });
  place.view.addEventListener("click", (_event, item) => {
    const href = item?.datum?.href;
    if (typeof href === "string" && href.startsWith("/")) location.assign(href);
  });
  await place.view.runAsync();
  // The picture as a whole is named; its parts would only be read as so many nameless symbols.
  for (const part of place.querySelectorAll("[role], [aria-roledescription]")) {
    part.removeAttribute("role");
    part.removeAttribute("aria-roledescription");
    part.removeAttribute("aria-label");
  }
}

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("role", "tooltip");
document.body.append(tip);

function say(event, value) {
  if (value === null || value === undefined || value === "") {
    tip.hidden = true;
    return;
  }
  const rows = typeof value === "object" ? Object.entries(value) : [["", value]];
  tip.replaceChildren(
    ...rows.map(([name, text]) => {
      const line = document.createElement("p");
      line.textContent = name ? `${name}: ${text}` : String(text);
      return line;
    }),
  );
  tip.hidden = false;
  const { clientX: x, clientY: y } = event;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - box.width - 8))}px`;
  tip.style.top = `${Math.max(4, y + 16 + box.height > innerHeight ? y - box.height - 8 : y + 16)}px`;
}

// A picture that was kept from an earlier answer stays as it is, unless all are drawn anew.
export function drawAll(root, anew = false) {
  const wanted = [...root.querySelectorAll(".vega")].filter((place) => anew || !place.view);
  const drawn = wanted.map((place) =>
    draw(place).catch((error) => {
      place.textContent = `This picture cannot be drawn: ${error.message}`;
    }),
  );
  return Promise.all(drawn);
}

DARK.addEventListener("change", () => drawAll(document, true));
