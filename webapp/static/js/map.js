// A click on a point of the map, or on a neighbour, shows that example without loading the page anew.
//
//   <div data-map>
//     <svg> <a href="?item=7"> … </a> <circle data-map-ring> </svg>
//     <section id="item" data-x="…" data-y="…"> … </section>
//   </div>
//
// Without this script the links load the page.
(() => {
  "use strict";

  const map = document.querySelector("[data-map]");
  if (!map) return;

  map.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.closest(".map-legend")) {
      return;
    }
    event.preventDefault();
    const address = link.getAttribute("href");
    htmx.ajax("GET", address, { target: "#item", swap: "outerHTML" }).then(() => {
      const item = document.getElementById("item");
      const ring = map.querySelector("[data-map-ring]");
      ring.setAttribute("cx", item.dataset.x);
      ring.setAttribute("cy", item.dataset.y);
      history.replaceState(null, "", address);
    });
  });
})();
