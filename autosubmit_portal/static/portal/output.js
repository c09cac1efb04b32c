// Follows an output that grows: [data-output="address"] holds a <pre> and knows the bytes that it shows. It scrolls
// along with the end until the reader scrolls up. The HTML comes escaped from the portal (output.py).

const FOLLOW_EVERY = 1000;
const SHOWN_CHARACTERS = 2_000_000;

class Output {
    constructor(box) {
        this.box = box;
        this.address = box.dataset.output;
        this.screen = box.querySelector("pre");
        this.note = box.querySelector("[data-output-note]");
        this.earlier = box.querySelector("[data-output-earlier]");
        this.start = "start" in box.dataset ? Number(box.dataset.start) : null;
        this.end = "end" in box.dataset ? Number(box.dataset.end) : null;
        this.isOver = box.dataset.over === "true";
        this.isAtEnd = true;
        this.screen.addEventListener("scroll", () => this.scrolled());
        this.earlier?.addEventListener("click", () => this.showEarlier());
        this.box.querySelector("[data-output-end]")?.addEventListener("click", () => this.toEnd());
        this.toEnd();
        this.follow();
    }

    scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.screen;
        this.isAtEnd = scrollHeight - scrollTop - clientHeight < 24;
        this.box.classList.toggle("is-behind", !this.isAtEnd);
    }

    toEnd() {
        this.screen.scrollTop = this.screen.scrollHeight;
        this.scrolled();
    }

    async ask(query) {
        const answer = await fetch(`${this.address}?${query}`, { headers: { Accept: "application/json" } });
        if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
        return answer.json();
    }

    async follow() {
        if (this.isOver) return;
        let wait = FOLLOW_EVERY;
        if (!document.hidden && this.isShown()) {
            try {
                const piece = await this.ask(this.end === null ? "" : `after=${this.end}`);
                if (this.take(piece)) wait = 50;
            } catch {
                wait = 5 * FOLLOW_EVERY;
            }
        }
        if (this.box.isConnected) setTimeout(() => this.follow(), wait);
    }

    isShown() {
        const details = this.box.closest("details");
        return !details || details.open;
    }

    // Adds a piece; answers whether there is more to fetch at once.
    take(piece) {
        if (piece.is_reset) this.screen.replaceChildren();
        if (piece.is_reset || this.start === null) this.start = piece.start;
        const hasNews = piece.html !== "";
        if (hasNews) this.screen.insertAdjacentHTML("beforeend", piece.html);
        this.trim();
        this.end = piece.end;
        this.isOver = piece.is_over && piece.end >= piece.size;
        this.describe(piece.size);
        if (hasNews && this.isAtEnd) this.toEnd();
        return hasNews && piece.end < piece.size;
    }

    // A page that follows for days must not grow without bound.
    trim() {
        if (this.screen.textContent.length < SHOWN_CHARACTERS) return;
        const kept = this.screen.textContent.slice(-SHOWN_CHARACTERS / 2);
        this.screen.textContent = kept.slice(kept.indexOf("\n") + 1);
        this.start = null;
    }

    async showEarlier() {
        const piece = await this.ask(`before=${this.start}`);
        const height = this.screen.scrollHeight;
        this.screen.insertAdjacentHTML("afterbegin", piece.html);
        this.screen.scrollTop += this.screen.scrollHeight - height;
        this.start = piece.start;
        this.describe(piece.size);
    }

    describe(size) {
        if (this.note) this.note.textContent = size ? `${size.toLocaleString("en")} bytes` : "Nothing printed yet";
        if (this.earlier) this.earlier.hidden = !this.start;
    }
}

const known = new WeakSet();

function scan() {
    for (const box of document.querySelectorAll("[data-output]")) {
        if (known.has(box)) continue;
        known.add(box);
        new Output(box);
    }
}

scan();
document.addEventListener("portal:refreshed", scan);
