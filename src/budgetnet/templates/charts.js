"use strict";
/* Values under the pointer: the nearest epoch of a chart, by mouse, finger or arrow keys. */
document.querySelectorAll(".chart").forEach((figure) => {
  const plot = figure.querySelector(".plot"), cursor = figure.querySelector(".cursor"), values = figure.querySelector(".values");
  const data = JSON.parse(figure.querySelector(".read").textContent);
  let shown = null;
  const made = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  function show(epoch) {
    shown = Math.min(Math.max(epoch, 0), data.across.length - 1);
    const across = data.across[shown];
    plot.querySelectorAll("i").forEach((dot) => dot.remove());
    values.replaceChildren(made("b", "", `Epoch ${shown + 1}`));
    for (const line of data.lines) {
      if (!line.said[shown]) continue;
      const row = made("div");
      row.append(made("span", `key line-${line.colour}`, line.name), made("span", "", line.said[shown]));
      values.append(row);
      if (line.down[shown] === null) continue;
      const dot = made("i", `line-${line.colour}`);
      dot.style.left = `${across}%`;
      dot.style.top = `${line.down[shown]}%`;
      plot.append(dot);
    }
    cursor.style.left = `${across}%`;
    cursor.hidden = values.hidden = false;
    const room = plot.clientWidth - values.offsetWidth, place = (across / 100) * plot.clientWidth;
    values.style.left = `${Math.max(0, Math.min(room, place > plot.clientWidth / 2 ? place - values.offsetWidth - 12 : place + 12))}px`;
  }
  function hide() {
    shown = null;
    cursor.hidden = values.hidden = true;
    plot.querySelectorAll("i").forEach((dot) => dot.remove());
  }
  function under(event) {
    const box = plot.getBoundingClientRect(), at = (100 * (event.clientX - box.left)) / box.width;
    let nearest = 0;
    data.across.forEach((across, epoch) => { if (Math.abs(across - at) < Math.abs(data.across[nearest] - at)) nearest = epoch; });
    show(nearest);
  }
  plot.addEventListener("pointermove", under);
  plot.addEventListener("pointerdown", under);
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const last = data.across.length - 1, from = shown === null ? (event.key === "ArrowLeft" ? last + 1 : -1) : shown;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
});
