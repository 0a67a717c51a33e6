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
/* Dots: the nearest run of a row. */
document.querySelectorAll(".dots .row").forEach((row) => {
  const track = row.querySelector(".track"), values = row.querySelector(".values"), dots = [...row.querySelectorAll("i")];
  let shown = null;
  const place = (dot) => parseFloat(dot.style.left);
  function hide() {
    shown = null;
    values.hidden = true;
    dots.forEach((dot) => dot.classList.remove("read"));
  }
  function show(number) {
    hide();
    shown = Math.min(Math.max(number, 0), dots.length - 1);
    dots[shown].classList.add("read");
    values.textContent = dots[shown].dataset.said;
    values.hidden = false;
    const room = track.clientWidth - values.offsetWidth, middle = (place(dots[shown]) / 100) * track.clientWidth - values.offsetWidth / 2;
    values.style.left = `${Math.max(0, Math.min(room, middle))}px`;
  }
  function under(event) {
    const box = track.getBoundingClientRect(), at = (100 * (event.clientX - box.left)) / box.width;
    let nearest = 0;
    dots.forEach((dot, number) => { if (Math.abs(place(dot) - at) < Math.abs(place(dots[nearest]) - at)) nearest = number; });
    if (dots.length) show(nearest);
  }
  track.addEventListener("pointermove", under);
  track.addEventListener("pointerdown", under);
  track.addEventListener("pointerleave", hide);
  row.addEventListener("blur", hide);
  row.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!by || !dots.length) return;
    event.preventDefault();
    show(shown === null ? (by > 0 ? 0 : dots.length - 1) : shown + by);
  });
});
