"use strict";
const sheets = [...document.querySelectorAll(".sheets img[data-step]")];
const slider = document.getElementById("slider");
const play = document.getElementById("play");
const number = new Intl.NumberFormat("en-US");

function show(index) {
  sheets.forEach((sheet, other) => sheet.classList.toggle("shown", other === index));
  const step = Number(sheets[index].dataset.step);
  const last = Number(sheets[index].parentElement.dataset.last);
  slider.value = index;
  document.getElementById("step").textContent = `step ${number.format(step)}`;
  // All charts mark the step whose samples are shown.
  document.documentElement.style.setProperty("--at", step / last);
  document.documentElement.style.setProperty("--marked", 0.7);
}

if (slider) {
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play");
  };
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  play.addEventListener("click", () => {
    if (timer !== null) {
      stop();
      return;
    }
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "Pause");
    let index = Number(slider.value) === sheets.length - 1 ? 0 : Number(slider.value);
    show(index);
    timer = setInterval(() => {
      index += 1;
      show(index);
      if (index === sheets.length - 1) stop();
    }, Math.max(120, 6000 / sheets.length));
  });
}

// Under the pointer, a chart's legend shows the values at that step instead of the last ones.
for (const chart of document.querySelectorAll(".chart")) {
  const { last, series } = JSON.parse(chart.dataset.series);
  const plot = chart.querySelector(".plot");
  const title = chart.querySelector("h3");
  const values = [...chart.querySelectorAll("li b")];
  const name = title.textContent;
  const write = (step) => {
    series.forEach(({ points }, index) => {
      const nearest = points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
      values[index].textContent = String(Number(nearest[1].toPrecision(4)));
    });
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const across = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    write(across * last);
    title.textContent = `${name}, step ${number.format(Math.round(across * last))}`;
    plot.style.setProperty("--at", across);
    plot.style.setProperty("--marked", 1);
  });
  plot.addEventListener("pointerleave", () => {
    write(last);
    title.textContent = name;
    plot.style.removeProperty("--at");
    plot.style.removeProperty("--marked");
  });
}

const copy = document.getElementById("copy");
copy.addEventListener("click", async () => {
  const command = document.getElementById("command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(command); // without access to the clipboard, Ctrl-C is left
    copy.textContent = "Press Ctrl-C";
  }
});
