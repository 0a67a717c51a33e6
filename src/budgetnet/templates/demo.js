"use strict";
/* The page: strokes -> an image as MNIST was made -> the network -> bars and channels. */
(() => {
  const packed = JSON.parse(document.getElementById("network").textContent);
  const network = openNetwork(packed);
  const [channels, height, width] = packed.shapes["0"], names = packed.classes, served = packed.served;
  const find = (name) => document.getElementById(name);
  const paper = find("paper"), pen = paper.getContext("2d"), seen = find("seen");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const BOX = 20 / 28, LINE = 2.3 / 28, FINE = 8; // of the frame; MNIST's box, the width of its lines, points per pixel
  let strokes = [], current = null, asked = 0, picture = null, cursor = [0.5, 0.5], penDown = false, keyboard = false;

  // -- the paper
  function drawPaper() {
    const side = Math.round(paper.clientWidth * (window.devicePixelRatio || 1));
    if (paper.width !== side) paper.width = paper.height = side;
    pen.clearRect(0, 0, side, side);
    pen.strokeStyle = pen.fillStyle = style("--ink");
    drawStrokes(pen, strokes, (point) => [point[0] * side, point[1] * side], 0.065 * side);
    if (!strokes.length && !keyboard) {
      pen.fillStyle = style("--quiet");
      pen.font = `${Math.round(side / 18)}px system-ui, sans-serif`;
      pen.textAlign = "center";
      pen.fillText("Draw a digit here", side / 2, side / 2);
    }
    if (keyboard) {
      pen.strokeStyle = style(penDown ? "--warm" : "--mark");
      pen.lineWidth = Math.max(2, side / 150);
      pen.beginPath();
      pen.arc(cursor[0] * side, cursor[1] * side, side / 30, 0, 7);
      pen.stroke();
    }
  }
  function drawStrokes(on, lines, place, thickness) {
    on.lineWidth = thickness;
    on.lineCap = on.lineJoin = "round";
    for (const line of lines) {
      on.beginPath();
      line.forEach((point, i) => { const [x, y] = place(point); if (i) on.lineTo(x, y); else on.moveTo(x, y); });
      if (line.length === 1) { const [x, y] = place(line[0]); on.lineTo(x + 0.01, y); }
      on.stroke();
    }
  }

  // -- strokes -> pixels as MNIST's: the longer side 20 of 28, the centre of mass in the middle
  function pixelsOf(lines) {
    const points = lines.flat(), image = new Uint8Array(channels * height * width);
    if (!points.length) return image;
    const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
    const left = Math.min(...xs), right = Math.max(...xs), top = Math.min(...ys), bottom = Math.max(...ys);
    const long = Math.max(right - left, bottom - top, 0.02), room = (BOX - LINE) / long;
    const scale = Math.min(room, 40), side = width * FINE, fine = document.createElement("canvas");
    fine.width = fine.height = side;
    const on = fine.getContext("2d", { willReadFrequently: true });
    on.strokeStyle = "#fff";
    const middle = [(left + right) / 2, (top + bottom) / 2];
    drawStrokes(on, lines, (p) => [((p[0] - middle[0]) * scale + 0.5) * side, ((p[1] - middle[1]) * scale + 0.5) * side], LINE * side);
    const data = on.getImageData(0, 0, side, side).data, plane = new Float64Array(height * width);
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) plane[Math.floor(y / FINE) * width + Math.floor(x / FINE)] += data[4 * (y * side + x) + 3] / (FINE * FINE);
    let mass = 0, down = 0, across = 0;
    plane.forEach((ink, i) => { mass += ink; down += ink * Math.floor(i / width); across += ink * (i % width); });
    const dy = Math.round((height - 1) / 2 - down / mass), dx = Math.round((width - 1) / 2 - across / mass);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const fromY = y - dy, fromX = x - dx;
        if (fromY < 0 || fromX < 0 || fromY >= height || fromX >= width) continue;
        for (let channel = 0; channel < channels; channel++)
          image[(channel * height + y) * width + x] = Math.round(plane[fromY * width + fromX]);
      }
    return image;
  }

  // -- what is shown
  const shown = layersToShow();
  function layersToShow() {
    const users = {};
    for (const operation of network.operations)
      for (const value of operation.sources || [operation.source]) (users[value] = users[value] || []).push(operation);
    const pointwise = (operation) => operation.type === "Activation" || operation.type === "Scaling";
    const wordOf = (operation) => {
      if (operation.type === "Convolution") return `convolution ${operation.weights.shape[2]}×${operation.weights.shape[3]}`;
      if (operation.type === "Pooling") return `${operation.kind} of ${operation.size[0]}×${operation.size[1]}`;
      if (operation.type === "GlobalPooling") return `${operation.kind} of the whole map`;
      return { Merge: operation.kind === "add" ? "sum" : "product", Concatenation: "joined maps" }[operation.type] || "scaling";
    };
    const layers = [];
    let word = "";
    for (const operation of network.operations) {
      word = pointwise(operation) ? (operation.type === "Activation" ? `${word || "scaling"}, ${operation.function}` : word) : wordOf(operation);
      const next = users[operation.result] || [];
      if (next.length === 1 && pointwise(next[0])) continue;
      layers.push({ value: operation.result, word, shape: network.shapes[operation.result] });
    }
    return layers.filter((layer) => layer.value !== network.answer);
  }
  function build() {
    names.forEach((name, i) => {
      const row = document.createElement("li");
      row.id = `class-${i}`;
      const label = document.createElement("span"), bar = document.createElement("div"), share = document.createElement("span");
      label.textContent = name;
      bar.className = "bar";
      bar.setAttribute("role", "meter");
      bar.setAttribute("aria-label", `probability of ${name}`);
      bar.setAttribute("aria-valuemin", 0);
      bar.setAttribute("aria-valuemax", 100);
      bar.append(document.createElement("div"));
      share.className = "share";
      row.append(label, bar, share);
      find("bars").append(row);
    });
    for (const layer of shown) {
      const title = document.createElement("h3"), row = document.createElement("div");
      title.textContent = `${layer.word} → ${layer.shape[0]} channels of ${layer.shape[1]}×${layer.shape[2]}`;
      row.className = "channels";
      layer.tiles = [];
      for (let channel = 0; channel < layer.shape[0]; channel++) {
        const tile = document.createElement("canvas");
        tile.width = layer.shape[2];
        tile.height = layer.shape[1];
        tile.setAttribute("role", "img");
        tile.setAttribute("aria-label", `channel ${channel + 1}`);
        layer.tiles.push(tile);
        row.append(tile);
      }
      find("layers").append(title, row);
    }
  }
  function paint(canvas, numbers, offset, low, high) {
    const on = canvas.getContext("2d"), image = on.createImageData(canvas.width, canvas.height), span = high - low || 1;
    for (let i = 0; i < canvas.width * canvas.height; i++) {
      const level = Math.round(255 * (numbers[offset + i] - low) / span);
      image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = level;
      image.data[4 * i + 3] = 255;
    }
    on.putImageData(image, 0, 0);
  }
  function show(pixels, probabilities, values, empty, doubts) {
    paint(seen, pixels, 0, 0, 255);
    const order = names.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
    names.forEach((name, i) => {
      const row = find(`class-${i}`), percent = empty ? 0 : 100 * probabilities[i];
      row.className = !empty && i === order[0] ? "best" : "";
      row.querySelector(".bar div").style.width = `${percent}%`;
      row.querySelector(".bar").setAttribute("aria-valuenow", percent.toFixed(1));
      row.querySelector(".share").textContent = empty ? "" : `${percent.toFixed(1)} %`;
    });
    find("answer").textContent = empty ? "–" : names[order[0]];
    const unsure = !empty && probabilities[order[0]] < 0.8 ? [`Not sure: ${names[order[0]]} or ${names[order[1]]}?`] : [];
    find("doubt").textContent = [...(doubts || []), ...unsure].join(" ");
    for (const layer of shown) {
      const numbers = values[layer.value], area = layer.shape[1] * layer.shape[2];
      let low = Infinity, high = -Infinity;
      for (const number of numbers) { low = Math.min(low, number); high = Math.max(high, number); }
      layer.tiles.forEach((tile, channel) => paint(tile, numbers, channel * area, low, high));
    }
  }

  // -- asking: here, or the server that gave the page
  async function answersOf(pixels) {
    if (!served) return network.ask(pixels);
    const response = await fetch("ask?values=" + shown.map((layer) => layer.value).join(","), { method: "POST", body: pixels, headers: { "Content-Type": "application/octet-stream" } });
    if (!response.ok) throw new Error(await response.text());
    const numbers = new Float32Array(await response.arrayBuffer()), values = {};
    let place = names.length;
    for (const layer of shown) {
      const length = layer.shape[0] * layer.shape[1] * layer.shape[2];
      values[layer.value] = numbers.subarray(place, place + length);
      place += length;
    }
    return { probabilities: numbers.subarray(0, names.length), values };
  }
  let waiting = false, again = false;
  async function refresh() {
    if (waiting) { again = true; return; }
    waiting = true;
    do {
      again = false;
      const pixels = picture ? picture.pixels : pixelsOf(strokes), empty = !picture && !strokes.length;
      try {
        const { probabilities, values } = await answersOf(pixels);
        show(pixels, probabilities, values, empty, picture ? picture.doubts : []);
        asked++;
      } catch (error) { find("doubt").textContent = `The program does not answer: ${error.message}`; }
    } while (again);
    waiting = false;
    document.body.dataset.asked = asked;
  }
  let planned = false;
  function soon() {
    drawPaper();
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => { planned = false; refresh(); });
  }

  // -- mouse, finger, pen
  const placeOf = (event) => {
    const box = paper.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  paper.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    paper.setPointerCapture(event.pointerId);
    picture = null;
    keyboard = penDown = false;
    current = [placeOf(event)];
    strokes.push(current);
    soon();
  });
  paper.addEventListener("pointermove", (event) => {
    if (!current) return;
    for (const part of event.getCoalescedEvents && event.getCoalescedEvents().length ? event.getCoalescedEvents() : [event]) current.push(placeOf(part));
    soon();
  });
  for (const name of ["pointerup", "pointercancel"]) paper.addEventListener(name, () => { current = null; });

  // -- keyboard: arrows move, space puts the pen down and up
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  paper.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (step) {
      keyboard = true;
      cursor = cursor.map((at, i) => Math.min(0.95, Math.max(0.05, at + step[i] * (event.shiftKey ? 0.01 : 0.04))));
      if (penDown) current.push([...cursor]);
    } else if (event.key === " " || event.key === "Enter") {
      keyboard = true;
      picture = null;
      penDown = !penDown;
      current = penDown ? [[...cursor]] : null;
      if (penDown) strokes.push(current);
    } else if (event.key === "Backspace") undo();
    else if (event.key === "Delete" || event.key === "Escape") clear();
    else return;
    event.preventDefault();
    soon();
  });
  paper.addEventListener("blur", () => { keyboard = penDown = false; current = null; drawPaper(); });
  function clear() { strokes = []; current = picture = null; penDown = false; soon(); }
  function undo() { strokes.pop(); current = picture = null; penDown = false; soon(); }
  find("clear").addEventListener("click", clear);
  find("undo").addEventListener("click", undo);
  if (served) {
    find("file").addEventListener("change", async (event) => {
      const file = event.target.files[0];
      if (!file) return;
      try {
        const response = await fetch("picture", { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
        if (!response.ok) throw new Error(await response.text());
        const found = await response.json();
        strokes = [];
        picture = { pixels: Uint8Array.from(found.pixels), doubts: found.doubts };
        soon();
      } catch (error) { find("doubt").textContent = error.message; }
      event.target.value = "";
    });
  }
  window.addEventListener("resize", drawPaper);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPaper);

  // -- for tests and verification: many images through this page's own inference
  const BASE = 0x8000;
  window.budgetnet = {
    answers(images) {
      const text = atob(images), length = channels * height * width, count = text.length / length;
      const all = new Float32Array(count * names.length), pixels = new Uint8Array(length);
      const start = performance.now();
      for (let image = 0; image < count; image++) {
        for (let i = 0; i < length; i++) pixels[i] = text.charCodeAt(image * length + i);
        all.set(network.ask(pixels).probabilities, image * names.length);
      }
      const seconds = (performance.now() - start) / 1000, bytes = new Uint8Array(all.buffer);
      let out = "";
      for (let i = 0; i < bytes.length; i += BASE) out += String.fromCharCode(...bytes.subarray(i, i + BASE));
      return { probabilities: btoa(out), seconds };
    },
  };
  build();
  soon();
})();
