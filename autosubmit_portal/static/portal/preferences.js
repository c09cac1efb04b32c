// Offers the time zone of the browser, unless it is chosen already.

const field = document.querySelector("[data-zone-of-browser]");
const offer = document.getElementById("browser-zone");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (field && offer && zone) {
    const update = () => { offer.hidden = field.value.trim() === zone; };
    offer.querySelector("span").textContent = zone;
    offer.querySelector("button").addEventListener("click", () => {
        field.value = zone;
        update();
        field.focus();
    });
    field.addEventListener("input", update);
    update();
}
