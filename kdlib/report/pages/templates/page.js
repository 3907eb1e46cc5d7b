"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const stored = (key, value) => { // a page opened from a file may have no storage
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { return null; }
  return value;
};

// A button that switches something on and off, and remembers it.
function toggle(button, key, on, apply) {
  const set = (value) => { button.setAttribute("aria-pressed", String(value)); apply(value); };
  button.hidden = false;
  button.addEventListener("click", () => {
    const value = button.getAttribute("aria-pressed") !== "true";
    stored(key, String(value));
    set(value);
  });
  const kept = stored(key);
  set(kept === null ? on : kept === "true");
}

// All code at once: hidden until it is asked for.
const folds = all("details.code");
if (folds.length) {
  toggle(document.querySelector(".unfold"), "kdlib-code", false, (on) => {
    folds.forEach((fold) => { fold.hidden = !on; fold.open = on; });
  });
}

// Light and dark: the system's choice until the reader chooses.
const scheme = matchMedia("(prefers-color-scheme: dark)");
const sources = all("source").map((source) => [source, source.media]);
toggle(document.querySelector(".theme"), "kdlib-dark", scheme.matches, (dark) => {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  sources.forEach(([source, media]) => {
    source.media = media.replace("(prefers-color-scheme: dark)", dark ? "(min-width: 0)" : "(max-width: 0)");
  });
  dispatchEvent(new Event("themechange"));
});

// The table of contents marks the section that is being read.
const links = all(".contents a");
const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
const markSection = () => {
  const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight * 0.35).length;
  links.forEach((link, i) => {
    if (i === Math.max(0, passed - 1)) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
};
if (links.length) {
  addEventListener("scroll", markSection, { passive: true });
  markSection();
}

// A figure opens in its full size, by mouse or by keyboard.
const zoomed = make("dialog", { className: "zoomed" });
zoomed.setAttribute("aria-label", "Enlarged figure");
zoomed.addEventListener("click", () => zoomed.close());
document.body.append(zoomed);
all("figure > picture").forEach((picture) => {
  const button = make("button", { className: "zoom", type: "button" });
  picture.replaceWith(button);
  button.append(picture);
  button.setAttribute("aria-label", `Enlarge ${picture.closest("figure").querySelector(".number").textContent}: ${picture.querySelector("img").alt}`);
  button.addEventListener("click", () => {
    zoomed.replaceChildren(picture.cloneNode(true), make("button", { type: "button", textContent: "Close" }));
    zoomed.showModal();
  });
});

// A figure is saved as it is shown, in its theme and width, at two pixels to one of the page.
all("figure picture").forEach((picture) => {
  const figure = picture.closest("figure"), image = picture.querySelector("img");
  const link = make("a", { className: "csv", href: `#${figure.id}`, download: `${figure.id}.png`, textContent: "PNG" });
  link.setAttribute("aria-label", `${figure.querySelector(".number").textContent} as PNG`);
  link.addEventListener("click", () => {
    const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d").drawImage(image, 0, 0);
    link.href = canvas.toDataURL();
  });
  figure.querySelector("figcaption").append(" ", link);
});

// Code and references to be cited can be copied.
all("details.code pre, pre.cite").forEach((pre) => {
  const text = pre.textContent, button = make("button", { className: "copy", type: "button", textContent: "Copy" });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  pre.before(button);
});

// A link to a term, figure or table shows it when it is hovered, focused or tapped.
const preview = make("div", { className: "preview", id: "preview", hidden: true });
preview.setAttribute("role", "tooltip");
document.body.append(preview);
const hide = () => { preview.hidden = true; all("[aria-describedby=preview]").forEach((link) => link.removeAttribute("aria-describedby")); };
const show = (link) => {
  const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
  if (!target) return;
  const copy = target.cloneNode(true);
  all("details, .csv, .note", copy).forEach((part) => part.remove());
  all("[id]", copy).forEach((part) => part.removeAttribute("id"));
  all("[tabindex]", copy).forEach((part) => part.removeAttribute("tabindex"));
  preview.replaceChildren(...copy.childNodes);
  preview.hidden = false;
  link.setAttribute("aria-describedby", "preview");
  placeNear(link);
};
const placeNear = (link) => {
  const place = link.getBoundingClientRect(), { offsetHeight: high, offsetWidth: wide } = preview;
  const top = place.bottom + high + 8 < innerHeight ? place.bottom + 4 : Math.max(4, place.top - high - 4);
  preview.style.top = `${top}px`;
  preview.style.left = `${Math.max(4, Math.min(place.left, document.documentElement.clientWidth - wide - 4))}px`;
};
all("main a[href^='#term-'], main a[href^='#figure-']:not(.number), main a[href^='#table-']:not(.number)").forEach((link) => {
  link.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") show(link); });
  link.addEventListener("pointerleave", (event) => {  // also when the page scrolls away from the pointer, to another link in focus
    if (event.pointerType === "mouse" && link.hasAttribute("aria-describedby")) hide();
  });
  link.addEventListener("focus", () => show(link));
  link.addEventListener("blur", hide);
  link.addEventListener("click", (event) => {
    if (event.pointerType === "touch" && link.hash.startsWith("#term-")) { event.preventDefault(); show(link); }
    else hide();
  });
});
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
addEventListener("scroll", () => {  // focus scrolls to a link, whose preview then stays with it
  if (document.activeElement?.getAttribute("aria-describedby") === "preview") placeNear(document.activeElement);
  else hide();
}, { passive: true });

// The explorer: what two methods decide, seed by seed, and what teachers answer at a point.
const unpack = async (packed) => {
  const raw = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const percent = (share, digits = 2) => `${(100 * share).toFixed(digits)}\u202f%`;
const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
const parseColour = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// Lines (x, y, x, y) on which a field (row by row) is zero, in units of cells.
function* contour(field, wide, high) {
  const cross = (a, b) => a / (a - b);
  for (let row = 0; row + 1 < high; row++) {
    for (let column = 0; column + 1 < wide; column++) {
      const at = row * wide + column, [a, b, c, d] = [field[at], field[at + 1], field[at + wide + 1], field[at + wide]];
      const ends = [];
      if (a > 0 !== b > 0) ends.push(column + cross(a, b), row);
      if (b > 0 !== c > 0) ends.push(column + 1, row + cross(b, c));
      if (d > 0 !== c > 0) ends.push(column + cross(d, c), row + 1);
      if (a > 0 !== d > 0) ends.push(column, row + cross(a, d));
      for (let i = 0; i + 3 < ends.length; i += 4) yield ends.slice(i, i + 4);
    }
  }
}

async function explore(root) {
  const scenes = JSON.parse(root.querySelector("script").textContent);
  const field = (name) => root.querySelector(`[name=${name}]`);
  const [dataset, left, right, seed, training, temperature, alpha] = ["dataset", "left", "right", "seed", "training", "temperature", "alpha"].map(field);
  const sides = all(".scene", root).map((scene) => ({ method: scene.querySelector("select"), canvas: scene.querySelector("canvas"), readout: scene.querySelector(".readout") }));
  const unpacked = new Map();
  const bytesOf = async (packed) => {
    if (!unpacked.has(packed)) unpacked.set(packed, await unpack(packed));
    return unpacked.get(packed);
  };
  const share = () => 2 ** (training.value - training.max); // of each training that is done
  let point = null; // column and row of the cell whose targets are shown

  function updateChoices() { // datasets may differ in their methods and in their number of seeds
    const scene = scenes.datasets[dataset.value];
    for (const choice of [left, right]) {
      const previous = choice.value;
      choice.replaceChildren(...Object.keys(scene.methods).map((name) => new Option(scenes.titles[name], name)));
      choice.value = previous in scene.methods ? previous : Object.keys(scene.methods)[0];
    }
    seed.max = Math.max(...Object.values(scene.methods).map((method) => method.accuracy.length)) - 1;
    point = scene.start.slice();
  }

  async function paint(scene, { method, canvas, readout }) {
    const chosen = scene.methods[method.value], { epochs, accuracy } = chosen, last = epochs?.at(-1), epoch = Math.ceil(last * share());
    const early = epoch < last, i = early ? epochs.indexOf(epoch) : Math.min(Number(seed.value), accuracy.length - 1);
    const size = scene.wide * scene.high, maps = await bytesOf(early ? chosen.early : chosen.maps), points = await bytesOf(scene.points);
    const posterior = scene.posterior && await bytesOf(scene.posterior), density = await bytesOf(scene.density);
    const style = getComputedStyle(document.body), paper = style.backgroundColor.match(/\d+/g).map(Number), ink = style.color;
    const colours = scenes.colours[document.documentElement.dataset.theme];
    const region = maps.subarray(i * size, (i + 1) * size), scale = Math.ceil(720 / scene.wide);
    const image = new ImageData(scene.wide, scene.high);
    const tints = colours.map((colour) => parseColour(colour).map((part, k) => Math.round(0.38 * part + 0.62 * paper[k])));
    for (let cell = 0; cell < size; cell++) { // the lowest row is at the bottom
      const to = 4 * (cell % scene.wide + scene.wide * (scene.high - 1 - Math.floor(cell / scene.wide)));
      image.data.set([...tints[region[cell] % tints.length], 255], to);
    }
    const small = new OffscreenCanvas(scene.wide, scene.high);
    small.getContext("2d").putImageData(image, 0, 0);
    canvas.width = scene.wide * scale;
    canvas.height = Math.round(canvas.width * scene.ratio);
    const pen = canvas.getContext("2d"), tall = canvas.height / scene.high;
    const x = (column) => (column + 0.5) * scale, y = (row) => canvas.height - (row + 0.5) * tall;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    for (let p = 0; p < points.length; p += 4) {
      const [across, up] = [(points[p] / 255) * canvas.width, (1 - points[p + 1] / 255) * canvas.height];
      pen.fillStyle = pen.strokeStyle = colours[points[p + 2] % colours.length];
      pen.lineWidth = 2.5;
      pen.beginPath();
      const shape = points[p + 3] % 3; // as in the figures: cross, square, circle
      if (shape === 0) { pen.moveTo(across - 4, up - 4); pen.lineTo(across + 4, up + 4); pen.moveTo(across - 4, up + 4); pen.lineTo(across + 4, up - 4); pen.stroke(); }
      else if (shape === 1) pen.fillRect(across - 4, up - 4, 8, 8);
      else { pen.arc(across, up, 4.5, 0, 2 * Math.PI); pen.fill(); }
    }
    pen.strokeStyle = ink;
    pen.lineWidth = 2.5;
    let same = 0, total = 0;
    if (posterior) {
      const of = (c, cell) => posterior[c * size + cell], classes = posterior.length / size;
      for (let c = 0; c < (classes === 2 ? 1 : classes); c++) {
        const margin = Float32Array.from({ length: size }, (_, cell) => {
          let other = 0;
          for (let k = 0; k < classes; k++) if (k !== c) other = Math.max(other, of(k, cell));
          return of(c, cell) - other;
        });
        pen.beginPath();
        for (const [x1, y1, x2, y2] of contour(margin, scene.wide, scene.high)) { pen.moveTo(x(x1), y(y1)); pen.lineTo(x(x2), y(y2)); }
        pen.stroke();
      }
      for (let cell = 0; cell < size; cell++) {
        let best = 0;
        for (let k = 1; k < classes; k++) if (of(k, cell) > of(best, cell)) best = k;
        total += density[cell];
        if (best === region[cell]) same += density[cell];
      }
    }
    if (scene.teachers) {
      pen.lineWidth = 4;
      pen.beginPath();
      pen.moveTo(x(point[0]) - 14, y(point[1])); pen.lineTo(x(point[0]) + 14, y(point[1]));
      pen.moveTo(x(point[0]), y(point[1]) - 14); pen.lineTo(x(point[0]), y(point[1]) + 14);
      pen.stroke();
    }
    const mean = accuracy.reduce((a, b) => a + b) / accuracy.length;
    const agrees = posterior ? ` Decides as Bayes on ${percent(same / total, 1)} of the points, weighted by their density.` : "";
    const reached = early ? `After ${epoch} of ${last} epochs.` : `Accuracy on the ${scene.split} points: ${percent(accuracy[i])}; mean of all seeds ${percent(mean)}.`;
    readout.textContent = reached + agrees;
    canvas.setAttribute("aria-label", `Decision regions of ${scenes.titles[method.value]} on ${scene.name}, seed ${seed.value}; horizontal ${scene.axes[0]}, vertical ${scene.axes[1]}. ${early ? reached : ""}`.trim());
    return early ? NaN : accuracy[i];
  }

  // The teachers' answers at the point, and the target of a student: labels with weight alpha, teachers softened by T.
  async function soften(scene) {
    root.querySelector(".soften").hidden = !scene.teachers;
    if (!scene.teachers) return;
    const answers = await bytesOf(scene.teachers), size = scene.wide * scene.high, cell = point[1] * scene.wide + point[0];
    const t = Number(temperature.value), a = Number(alpha.value), count = answers.length / size / scene.classes;
    const softened = (k, T) => {
      const powers = Array.from({ length: scene.classes }, (_, c) => Math.max(answers[(k * scene.classes + c) * size + cell], 0.5) ** (1 / T));
      const sum = powers.reduce((one, other) => one + other);
      return powers.map((power) => power / sum);
    };
    const row = (name, values) => make("tr", {}, make("th", { scope: "row", textContent: name }), ...values.map((value) => make("td", { className: "number", textContent: percent(value, 1) })));
    const heads = ["", ...Array.from({ length: scene.classes }, (_, c) => `class ${c}`)];
    root.querySelector("thead").replaceChildren(make("tr", {}, ...heads.map((text) => make(text ? "th" : "td", text ? { scope: "col", className: "number", textContent: text } : {}))));
    const rows = [];
    for (let k = 0; k < count; k++) rows.push(row(`Teacher of domain ${k}, T = 1`, softened(k, 1)), row(`Teacher of domain ${k}, T = ${t}`, softened(k, t)));
    const mean = Array.from({ length: scene.classes }, (_, c) => rows.length && Array.from({ length: count }, (_, k) => softened(k, t)[c]).reduce((one, other) => one + other) / count);
    rows.push(row(`Target if the label is class 0: α = ${a} of the label, ${(1 - a).toFixed(2)} of the teachers' mean`, mean.map((value, c) => a * (c === 0) + (1 - a) * value)));
    root.querySelector("tbody").replaceChildren(...rows);
    temperature.nextElementSibling.textContent = String(t);
    alpha.nextElementSibling.textContent = String(a);
  }

  async function draw(event) {
    const scene = scenes.datasets[dataset.value];
    const [one, other] = [await paint(scene, sides[0]), await paint(scene, sides[1])];
    if (isFinite(other - one)) sides[1].readout.textContent += ` Difference from the left: ${signed(100 * (other - one))} points.`;
    training.parentElement.hidden = ![left, right].some((choice) => scene.methods[choice.value].epochs);
    training.nextElementSibling.textContent = share() < 1 ? `1/${1 / share()}` : "finished";
    training.setAttribute("aria-valuetext", training.nextElementSibling.textContent);
    seed.nextElementSibling.textContent = seed.value;
    const lines = scene.posterior ? " The line is the Bayes boundary." : "";
    root.querySelector(".legend").textContent = `Horizontal: ${scene.axes[0]}; vertical: ${scene.axes[1]}. Colours are classes: 0 blue, 1 orange. Markers are training points, their shape is the domain: 0 cross, 1 square, 2 circle.${lines}`;
    await soften(scene);
    if (event) history.replaceState(null, "", `#explore=${[scene.name, left.value, right.value, seed.value, training.value].map(encodeURIComponent).join(",")}`);
  }

  function move(canvas, column, row) {
    const scene = scenes.datasets[dataset.value];
    point = [Math.max(0, Math.min(scene.wide - 1, column)), Math.max(0, Math.min(scene.high - 1, row))];
    draw(true);
  }
  for (const { canvas } of sides) {
    canvas.tabIndex = 0;
    canvas.addEventListener("click", (event) => {
      const scene = scenes.datasets[dataset.value], box = canvas.getBoundingClientRect();
      move(canvas, Math.floor(((event.clientX - box.left) / box.width) * scene.wide), Math.floor((1 - (event.clientY - box.top) / box.height) * scene.high));
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, 2], ArrowDown: [0, -2] }[event.key];
      if (!step) return;
      event.preventDefault();
      move(canvas, point[0] + step[0], point[1] + step[1]);
    });
  }
  dataset.replaceChildren(...scenes.datasets.map((scene, i) => new Option(scene.name, i)));
  const asked = location.hash.startsWith("#explore=") ? location.hash.slice(9).split(",").map(decodeURIComponent) : [];
  const [name, ...methods] = asked.length > 3 ? asked : [scenes.start.dataset, scenes.start.left, scenes.start.right, "0"];
  dataset.value = Math.max(0, scenes.datasets.findIndex((scene) => scene.name === name));
  updateChoices();
  [left, right].forEach((choice, i) => { if (methods[i] in scenes.datasets[dataset.value].methods) choice.value = methods[i]; });
  [seed.value, training.value] = [methods[2], methods[3] ?? training.max];
  dataset.addEventListener("input", (event) => { updateChoices(); draw(event); });
  training.addEventListener("input", () => { seed.value = 0; });
  seed.addEventListener("input", () => { training.value = training.max; });
  [left, right, seed, training, temperature, alpha].forEach((input) => input.addEventListener("input", draw));
  addEventListener("themechange", () => draw());
  await draw();
  root.hidden = false;
  if (asked.length) root.scrollIntoView();
}
const explorer = document.querySelector(".explorer");
if (explorer) explore(explorer);
