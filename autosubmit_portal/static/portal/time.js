// Keeps relative times and running clocks right between two refreshes; presentation.py says the same on the server.

const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [2592000, 86400, "d"]];
const two = (number) => String(number).padStart(2, "0");

function ago(seconds) {
    if (Math.abs(seconds) < 5) return say("just now");
    for (const [limit, unit, name] of STEPS) {
        const size = Math.abs(seconds);
        if (size < limit) return say(seconds > 0 ? "{time} ago" : "in {time}", { time: `${Math.floor(size / unit)} ${name}` });
    }
    return null;
}

function clock(seconds) {
    const all = Math.max(0, seconds);
    if (all < 60) return `${all} s`;
    if (all < 3600) return `${Math.floor(all / 60)} min ${two(all % 60)} s`;
    if (all < 86400) return `${Math.floor(all / 3600)} h ${two(Math.floor((all % 3600) / 60))} min`;
    return `${Math.floor(all / 86400)} d ${two(Math.floor((all % 86400) / 3600))} h`;
}

function write(element, text) {
    if (text !== null && element.textContent !== text) element.textContent = text;
}

function update() {
    const now = Date.now();
    for (const element of document.querySelectorAll("time[data-relative]")) {
        write(element, ago(Math.trunc((now - Date.parse(element.dateTime)) / 1000)));
    }
    for (const element of document.querySelectorAll("[data-since]")) {
        write(element, clock(Math.trunc((now - Date.parse(element.dataset.since)) / 1000)));
    }
}

update();
setInterval(update, 1000);
document.addEventListener("portal:refreshed", update);
