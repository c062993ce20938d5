// The picture with the masks, and where the model looked, drawn on it.

// Okabe and Ito's colours, as the node and `lisa segment` draw them (src/image/overlay.rs).
const PALETTE = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [204, 121, 167], [213, 94, 0], [0, 114, 178], [255, 182, 219],
];
// From the least to the most attention, as src/image/heat.rs has it.
const RAMP = [[0, 0, 40], [140, 30, 130], [250, 130, 40], [255, 250, 180]];
const FULL = 0.1;  // a token with this much attention is drawn at full heat
const MAX_SIDE = 2048;  // a canvas of more pixels shows no more

export function colour(index) {
  const [r, g, b] = PALETTE[index % PALETTE.length];
  return `rgb(${r} ${g} ${b})`;
}

/** The mask of an object, cut to its box: 1 inside. From COCO's run lengths, which go down the columns. */
export function decodeMask({size: [height], counts}, box) {
  const mask = new Uint8Array(box.width * box.height);
  let at = 0, inside = false, run = 0, shift = 0;
  const runs = [];
  for (const letter of counts) {
    const bits = letter.charCodeAt(0) - 48;
    run |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    if (bits & 16 && shift < 32) run |= -1 << shift;
    // From the third on, a run is written as its difference from the one before the last.
    if (runs.length > 2) run += runs[runs.length - 2];
    runs.push(run);
    run = shift = 0;
  }
  for (const length of runs) {
    if (inside) {
      for (let i = at; i < at + length; i++) {
        const x = Math.floor(i / height) - box.x, y = i % height - box.y;
        if (x >= 0 && y >= 0 && x < box.width && y < box.height) mask[y * box.width + x] = 1;
      }
    }
    at += length;
    inside = !inside;
  }
  return mask;
}

export class Picture {
  masks = true;
  opacity = 0.5;
  heat = false;
  /** The object that is highlighted, by its place in `objects`; -1 for none. */
  selected = -1;
  objects = [];
  attention = null;

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', {willReadFrequently: true});
    this.image = null;
  }

  /** Shows a picture; `size` is that of the picture the masks belong to, where the image itself is smaller. */
  show(image, size = {width: image.width, height: image.height}) {
    this.image = image;
    this.size = size;
    this.scale = Math.min(1, MAX_SIDE / Math.max(size.width, size.height));
    const width = Math.max(1, Math.round(size.width * this.scale)), height = Math.max(1, Math.round(size.height * this.scale));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.draw();
  }

  /** Drops what was drawn over the picture. */
  clear() {
    this.objects = [];
    this.attention = null;
    this.selected = -1;
    this.draw();
  }

  add(object) {
    const mask = object.mask ? decodeMask(object.mask, object.box) : null;
    const at = this.objects.length;
    this.objects.push({...object, bits: mask, layers: mask ? layers(mask, object.box, PALETTE[at % PALETTE.length]) : null});
    this.draw();
  }

  draw() {
    if (!this.image) return;
    const {context, canvas, scale} = this;
    context.globalAlpha = 1;
    context.drawImage(this.image, 0, 0, canvas.width, canvas.height);
    if (this.heat && this.attention) this.#drawHeat();
    if (this.masks) {
      for (const part of ['area', 'outline']) {
        this.objects.forEach(({layers, box}, index) => {
          if (!layers) return;
          const other = this.selected >= 0 && this.selected !== index;
          const alpha = part === 'area' ? this.opacity : Math.min(1, this.opacity * 4);
          context.globalAlpha = other ? alpha * 0.35 : alpha;
          context.drawImage(layers[part], box.x * scale, box.y * scale, box.width * scale, box.height * scale);
        });
      }
      context.globalAlpha = 1;
      if (this.selected >= 0) this.#drawBox(this.objects[this.selected].box);
    }
    const names = this.objects.map((object) => object.label).join(', ');
    const found = this.objects.length ? `${this.objects.length} marked: ${names}` : 'nothing marked';
    canvas.setAttribute('aria-label', `Picture, ${this.size.width} by ${this.size.height} pixels, ${found}`);
  }

  #drawBox({x, y, width, height}) {
    const {context, scale} = this;
    const line = Math.max(1.5, this.canvas.width / 400);
    for (const [style, wide] of [['rgb(0 0 0)', line * 2], ['rgb(255 255 255)', line]]) {
      context.strokeStyle = style;
      context.lineWidth = wide;
      context.strokeRect(x * scale - line, y * scale - line, width * scale + 2 * line, height * scale + 2 * line);
    }
  }

  #drawHeat() {
    const {grid, weights, view} = this.attention;
    const most = Math.max(FULL, ...weights);
    const small = new OffscreenCanvas(grid, grid);
    const pixels = new ImageData(grid, grid);
    weights.forEach((weight, i) => {
      const at = Math.min(RAMP.length - 1.0001, (weight / most) * (RAMP.length - 1));
      const before = RAMP[Math.floor(at)], after = RAMP[Math.floor(at) + 1], share = at - Math.floor(at);
      before.forEach((value, c) => { pixels.data[4 * i + c] = value + (after[c] - value) * share; });
      pixels.data[4 * i + 3] = 255;
    });
    small.getContext('2d').putImageData(pixels, 0, 0);
    const {context, canvas, scale} = this;
    context.save();
    context.globalAlpha = 0.6;
    context.beginPath();
    context.rect(0, 0, canvas.width, canvas.height);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.drawImage(small, view.x * scale, view.y * scale, view.width * scale, view.height * scale);
    context.restore();
  }

  /** The object at a place of the page, the smallest of several; -1 for none. */
  objectAt(clientX, clientY) {
    const {canvas} = this;
    if (!this.image || !this.masks) return -1;
    const room = canvas.getBoundingClientRect();
    // The canvas is fitted into its room, in the middle.
    const fit = Math.min(room.width / canvas.width, room.height / canvas.height) * this.scale;
    const x = Math.floor((clientX - room.left - (room.width - this.size.width * fit) / 2) / fit);
    const y = Math.floor((clientY - room.top - (room.height - this.size.height * fit) / 2) / fit);
    let best = -1;
    this.objects.forEach(({bits, box, area}, index) => {
      const column = x - box.x, row = y - box.y;
      const inside = bits && column >= 0 && row >= 0 && column < box.width && row < box.height && bits[row * box.width + column];
      if (inside && (best < 0 || area < this.objects[best].area)) best = index;
    });
    return best;
  }

  /** A small copy of what is shown, as a data URL. */
  thumbnail(width = 240) {
    const height = Math.max(1, Math.round(width * this.canvas.height / this.canvas.width));
    const small = document.createElement('canvas');
    small.width = width;
    small.height = height;
    small.getContext('2d').drawImage(this.canvas, 0, 0, width, height);
    return small.toDataURL('image/jpeg', 0.8);
  }
}

/** The area and the outline of a mask, in its colour. */
function layers(mask, {width, height}, [r, g, b]) {
  const layer = (inside) => {
    const pixels = new ImageData(width, height);
    for (let i = 0; i < mask.length; i++) {
      if (!inside(i)) continue;
      pixels.data.set([r, g, b, 255], 4 * i);
    }
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    return canvas;
  };
  const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x];
  const rim = (i) => {
    const x = i % width, y = (i - x) / width;
    return mask[i] && !(at(x - 1, y) && at(x + 1, y) && at(x, y - 1) && at(x, y + 1));
  };
  return {area: layer((i) => mask[i]), outline: layer(rim)};
}
