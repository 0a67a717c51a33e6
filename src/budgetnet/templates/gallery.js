/* The gallery: one mistake opened with all of its probabilities, and the confusion matrix as a way to pick from it. */
(() => {
  const dialog = document.getElementById("opened");
  if (!dialog) return;
  const { names, probabilities } = JSON.parse(document.getElementById("read").textContent);
  const tiles = [...document.querySelectorAll(".tile")], cells = [...document.querySelectorAll("button.cell")];
  const picked = document.getElementById("picked");
  let place = 0;
  const visible = () => tiles.filter((tile) => !tile.hidden);
  const percent = (value) => (value < 0.001 ? "< 0.1 %" : `${(100 * value).toFixed(1)} %`);
  function open(number) {
    place = number;
    const tile = tiles[number], label = Number(tile.dataset.label), predicted = Number(tile.dataset.predicted);
    dialog.querySelector("h3").textContent = `True class ${names[label]}, answered ${names[predicted]}`;
    dialog.querySelector(".opened img").src = tile.querySelector("img").src;
    dialog.querySelector(".opened p").textContent = `Test image ${tile.dataset.index}`;
    const order = probabilities[number].map((value, i) => [value, i]);
    if (order.length > 20) order.sort((a, b) => b[0] - a[0]).splice(20);
    dialog.querySelector(".bars").replaceChildren(...order.map(([value, i]) => {
      const row = document.createElement("li"), bar = document.createElement("i"), full = document.createElement("b");
      const name = document.createElement("span"), said = document.createElement("span");
      row.className = i === label ? "true" : i === predicted ? "said" : "";
      name.textContent = names[i];
      said.textContent = percent(value);
      full.style.width = `${100 * value}%`;
      bar.append(full);
      row.append(name, bar, said);
      return row;
    }));
    if (!dialog.open) dialog.showModal();
  }
  function step(by) {
    const shown = visible(), at = shown.indexOf(tiles[place]);
    open(tiles.indexOf(shown[(at + by + shown.length) % shown.length]));
  }
  tiles.forEach((tile, number) => tile.addEventListener("click", () => open(number)));
  document.getElementById("before").addEventListener("click", () => step(-1));
  document.getElementById("after").addEventListener("click", () => step(1));
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => tiles[place].focus());
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  function pick(cell) {
    const { label, predicted } = cell ? cell.dataset : {};
    for (const tile of tiles) tile.hidden = Boolean(cell) && (tile.dataset.label !== label || tile.dataset.predicted !== predicted);
    for (const one of cells) one.setAttribute("aria-pressed", String(one === cell));
    picked.hidden = !cell;
    picked.querySelector("span").textContent = cell ? `${visible().length} of ${names[label]} → ${names[predicted]}` : "";
    if (cell) document.getElementById("misclassified").scrollIntoView({ block: "start" });
  }
  cells.forEach((cell) => cell.addEventListener("click", () => pick(cell.getAttribute("aria-pressed") === "true" ? null : cell)));
  document.getElementById("all").addEventListener("click", () => pick(null));
})();
