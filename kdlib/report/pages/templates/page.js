"use strict";

// The button that shows or hides all code.
const folds = document.querySelectorAll("details.code");
const unfold = document.querySelector(".unfold");
if (unfold && folds.length) {
  unfold.hidden = false;
  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    folds.forEach((fold) => { fold.open = open; });
    unfold.setAttribute("aria-pressed", String(open));
  });
}

// The table of contents marks the section that is being read.
const links = [...document.querySelectorAll(".contents a")];
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

// The explorer: decision regions of one seed, and its accuracy.
const explorer = document.querySelector(".explorer");
const unpack = async (packed) => {
  const raw = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const percent = (value) => `${(100 * value).toFixed(2)} %`;

async function explore(root) {
  const scenes = JSON.parse(root.querySelector("script").textContent);
  const [dataset, method, seed] = ["dataset", "method", "seed"].map((name) => root.querySelector(`[name=${name}]`));
  const canvas = root.querySelector("canvas"), readout = root.querySelector(".readout");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const unpacked = new Map();
  const bytesOf = async (packed) => {
    if (!unpacked.has(packed)) unpacked.set(packed, await unpack(packed));
    return unpacked.get(packed);
  };
  const parseColour = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  function updateChoices() { // datasets may differ in their methods and in their number of seeds
    const scene = scenes.datasets[dataset.value], previous = method.value;
    method.replaceChildren(...Object.keys(scene.methods).map((name) => new Option(scenes.titles[name], name)));
    if (previous in scene.methods) method.value = previous;
    seed.max = scene.methods[method.value].accuracy.length - 1;
  }

  async function draw() {
    const scene = scenes.datasets[dataset.value], chosen = scene.methods[method.value], i = Number(seed.value);
    const size = scene.wide * scene.high, all = await bytesOf(chosen.maps), points = await bytesOf(scene.points);
    const bayes = scene.bayes && await bytesOf(scene.bayes);
    const style = getComputedStyle(root), paper = parseColour(style.getPropertyValue("--paper").trim());
    const colours = scenes.colours[dark.matches ? "dark" : "light"], ink = style.getPropertyValue("--ink");
    const region = all.subarray(i * size, (i + 1) * size), scale = Math.ceil(960 / scene.wide);
    canvas.width = scene.wide * scale;
    canvas.height = Math.round(canvas.width * scene.ratio);
    const pen = canvas.getContext("2d"), tall = canvas.height / scene.high;
    const at = (row) => canvas.height - (row + 1) * tall; // the lowest row is at the bottom
    for (let cell = 0; cell < size; cell++) {
      const tint = parseColour(colours[region[cell] % colours.length]).map((c, k) => Math.round(0.38 * c + 0.62 * paper[k]));
      pen.fillStyle = `rgb(${tint})`;
      pen.fillRect((cell % scene.wide) * scale, at(Math.floor(cell / scene.wide)), scale + 0.5, tall + 0.5);
    }
    for (let p = 0; p < points.length; p += 4) {
      const x = (points[p] / 255) * canvas.width, y = (1 - points[p + 1] / 255) * canvas.height;
      pen.fillStyle = pen.strokeStyle = colours[points[p + 2] % colours.length];
      pen.lineWidth = 3;
      pen.beginPath();
      const shape = points[p + 3] % 3; // as in the figures: cross, square, circle
      if (shape === 0) { pen.moveTo(x - 5, y - 5); pen.lineTo(x + 5, y + 5); pen.moveTo(x - 5, y + 5); pen.lineTo(x + 5, y - 5); pen.stroke(); }
      else if (shape === 1) pen.fillRect(x - 5, y - 5, 10, 10);
      else { pen.arc(x, y, 5.5, 0, 2 * Math.PI); pen.fill(); }
    }
    let same = 0;
    if (bayes) {
      pen.fillStyle = ink;
      for (let cell = 0; cell < size; cell++) {
        same += region[cell] === bayes[cell];
        const column = cell % scene.wide, row = Math.floor(cell / scene.wide);
        if (column + 1 < scene.wide && bayes[cell] !== bayes[cell + 1]) pen.fillRect((column + 1) * scale - 1.5, at(row), 3, tall);
        if (row + 1 < scene.high && bayes[cell] !== bayes[cell + scene.wide]) pen.fillRect(column * scale, at(row) - 1.5, scale, 3);
      }
    }
    const direct = scene.methods.ffnn, mean = chosen.accuracy.reduce((a, b) => a + b) / chosen.accuracy.length;
    const own = chosen.accuracy[i], title = scenes.titles[method.value];
    const sentences = [`${title} on ${scene.name}, seed ${i}: accuracy ${percent(own)} on the ${scene.split} points, mean of all seeds ${percent(mean)}.`];
    if (direct && method.value !== "ffnn" && direct.accuracy.length > i) {
      const gain = 100 * (own - direct.accuracy[i]);
      sentences.push(`FFNN with the same initial weights: ${percent(direct.accuracy[i])}, a difference of ${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(2)} percentage points.`);
    }
    if (bayes) sentences.push(`It agrees with Bayes on ${percent(same / size)} of this plane.`);
    readout.textContent = sentences.join(" ");
    canvas.setAttribute("aria-label", `Decision regions of ${title} on ${scene.name}, seed ${i}.`);
    dataset.setAttribute("aria-valuetext", scene.name);
    dataset.nextElementSibling.textContent = scene.name;
    seed.nextElementSibling.textContent = String(i);
  }

  dataset.max = scenes.datasets.length - 1;
  dataset.value = dataset.max;
  updateChoices();
  if ("kd_kernel_teachers" in scenes.datasets[dataset.value].methods) method.value = "kd_kernel_teachers";
  dataset.addEventListener("input", () => { updateChoices(); draw(); });
  method.addEventListener("input", () => { updateChoices(); draw(); });
  seed.addEventListener("input", draw);
  dark.addEventListener("change", draw);
  await draw();
  root.hidden = false;
}
if (explorer) explore(explorer);
