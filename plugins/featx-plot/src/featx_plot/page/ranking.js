"use strict";

/* Weighted similarity, as featx.search computes it.
 *
 * Every track has one vector. Its columns are divided into blocks; a block of a track holds small
 * integers and a scale. A part (a feature or a notion) is a range of columns made of whole blocks.
 * The score of a track is  sum_p w_p cos_p / sum_p |w_p|  over the parts with a weight. */
class Ranking {
  /* values: Int8Array or Int16Array (n * dim), row by row; scales: Float32Array (n * blocks);
   * edges: columns at which blocks begin, and dim; parts: [{name, start, stop}]. */
  constructor({ n, dim, values, scales, edges, parts }) {
    Object.assign(this, { n, dim, values, scales, edges, parts });
    this.blocks = edges.length - 1;
    this.spans = parts.map((part) => [edges.indexOf(part.start), edges.indexOf(part.stop)]);
    const squares = new Float64Array(n * this.blocks);
    for (let row = 0; row < n; row++) {
      for (let b = 0; b < this.blocks; b++) {
        let sum = 0;
        for (let c = edges[b]; c < edges[b + 1]; c++) sum += values[row * dim + c] ** 2;
        squares[row * this.blocks + b] = sum * scales[row * this.blocks + b] ** 2;
      }
    }
    this.norms = this.spans.map(([first, last]) => {
      const norms = new Float32Array(n);
      for (let row = 0; row < n; row++) {
        let sum = 0;
        for (let b = first; b < last; b++) sum += squares[row * this.blocks + b];
        norms[row] = Math.sqrt(sum);
      }
      return norms;
    });
  }

  vector(row) {
    const vector = new Float32Array(this.dim);
    for (let b = 0; b < this.blocks; b++) {
      const scale = this.scales[row * this.blocks + b];
      for (let c = this.edges[b]; c < this.edges[b + 1]; c++) {
        vector[c] = this.values[row * this.dim + c] * scale;
      }
    }
    return vector;
  }

  /* The mean of vectors of length 1: every track of a set counts alike. */
  query(rows) {
    if (rows.length === 1) return this.vector(rows[0]);
    const mean = new Float32Array(this.dim);
    for (const row of rows) {
      const vector = this.vector(row);
      const norm = Math.hypot(...vector) || 1;
      for (let c = 0; c < this.dim; c++) mean[c] += vector[c] / norm / rows.length;
    }
    return mean;
  }

  /* Cosines of a query with all tracks, one array per part. */
  cosines(query) {
    const dots = Array.from({ length: this.blocks }, () => new Float32Array(this.n));
    for (let row = 0; row < this.n; row++) {
      const base = row * this.dim;
      for (let b = 0; b < this.blocks; b++) {
        let sum = 0;
        for (let c = this.edges[b]; c < this.edges[b + 1]; c++) sum += query[c] * this.values[base + c];
        dots[b][row] = sum * this.scales[row * this.blocks + b];
      }
    }
    return this.parts.map((part, p) => {
      let square = 0;
      for (let c = part.start; c < part.stop; c++) square += query[c] ** 2;
      const norm = Math.sqrt(square);
      const cosines = new Float32Array(this.n);
      for (let row = 0; row < this.n; row++) {
        let sum = 0;
        for (let b = this.spans[p][0]; b < this.spans[p][1]; b++) sum += dots[b][row];
        const length = norm * this.norms[p][row];
        cosines[row] = length > 0 ? sum / length : 0;
      }
      return cosines;
    });
  }

  /* Scores of all tracks; `cosines` has an array per part, of one query or of several. */
  scores(cosines, weights) {
    const total = weights.reduce((sum, weight) => sum + Math.abs(weight), 0);
    const scores = new Float32Array(this.n);
    if (!total) return scores;
    weights.forEach((weight, p) => {
      if (!weight) return;
      for (let row = 0; row < this.n; row++) scores[row] += (weight / total) * cosines[p][row];
    });
    return scores;
  }

  /* What every part adds to the score of a track. */
  reasons(cosines, weights, row) {
    const total = weights.reduce((sum, weight) => sum + Math.abs(weight), 0);
    return this.parts
      .map((part, p) => ({ part: p, share: total ? (weights[p] / total) * cosines[p][row] : 0 }))
      .filter(({ part }) => weights[part]);
  }

  /* The k tracks of highest score without those in `omitted`; equal ones in the order of rows. */
  nearest(scores, k, omitted) {
    const rows = [];
    for (let row = 0; row < this.n; row++) {
      if ((rows.length === k && scores[row] <= scores[rows[k - 1]]) || omitted.has(row)) continue;
      let place = rows.length;
      while (place > 0 && scores[row] > scores[rows[place - 1]]) place--;
      rows.splice(place, 0, row);
      if (rows.length > k) rows.pop();
    }
    return rows;
  }
}

/* The text of a playlist. Items: {entry, seconds, name}; an entry is a path or an address. */
function playlist(items) {
  const lines = ["#EXTM3U"];
  for (const { entry, seconds, name } of items) {
    const title = name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();
    lines.push(`#EXTINF:${Number.isFinite(seconds) ? Math.round(seconds) : -1},${title}`, entry);
  }
  return lines.join("\n") + "\n";
}

/* Whether a point lies inside of a polygon [[x, y], ...]. */
function inside(polygon, x, y) {
  let within = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i];
    const [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within;
  }
  return within;
}

/* base64 -> typed array of the given kind. */
function unpack(text, Kind) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return new Kind(bytes.buffer);
}
