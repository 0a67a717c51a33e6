"use strict";
/* A network's operations in plain JavaScript: pixels in, probabilities and every value on the way out. Maps are Float32Array, channel by
 * channel, row by row. The weights come as base64 of float32. No library, no request. */
function openNetwork(packed) {
  const decode = (array) => {
    const text = atob(array.data), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const view = new DataView(bytes.buffer), numbers = new Float32Array(bytes.length / 4);
    for (let i = 0; i < numbers.length; i++) numbers[i] = view.getFloat32(4 * i, true);
    numbers.shape = array.shape;
    return numbers;
  };
  const operations = packed.operations.map((operation) => {
    const opened = {};
    for (const [name, value] of Object.entries(operation))
      opened[name] = value && typeof value === "object" && "data" in value ? decode(value) : value;
    return opened;
  });
  const shapes = packed.shapes;
  const size = (shape) => shape[0] * shape[1] * shape[2];

  function convolve(by, from, [inputs, height, width], [outputs, rows, columns]) {
    const to = new Float32Array(outputs * rows * columns);
    const [, depth, kernelRows, kernelColumns] = by.weights.shape;
    const [down, right] = by.stride, [above, left] = by.padding, [rowGap, columnGap] = by.dilation;
    const perGroup = outputs / by.groups;
    for (let output = 0; output < outputs; output++) {
      const base = output * rows * columns, group = Math.floor(output / perGroup);
      if (by.bias) to.fill(by.bias[output], base, base + rows * columns);
      for (let d = 0; d < depth; d++) {
        const plane = (group * depth + d) * height * width;
        for (let i = 0; i < kernelRows; i++)
          for (let j = 0; j < kernelColumns; j++) {
            const weight = by.weights[((output * depth + d) * kernelRows + i) * kernelColumns + j];
            const shift = j * columnGap - left;
            // The columns whose source lies inside the map.
            const first = Math.max(0, Math.ceil(-shift / right));
            const last = Math.min(columns - 1, Math.floor((width - 1 - shift) / right));
            for (let row = 0; row < rows; row++) {
              const y = row * down - above + i * rowGap;
              if (y < 0 || y >= height) continue;
              const source = plane + y * width + shift, target = base + row * columns;
              for (let column = first; column <= last; column++) to[target + column] += weight * from[source + column * right];
            }
          }
      }
    }
    return to;
  }

  function pool(by, from, [channels, height, width], [, rows, columns]) {
    const to = new Float32Array(channels * rows * columns), most = by.kind === "maximum";
    for (let channel = 0; channel < channels; channel++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          let largest = -Infinity, sum = 0, inside = 0;
          for (let i = 0; i < by.size[0]; i++)
            for (let j = 0; j < by.size[1]; j++) {
              const y = row * by.stride[0] - by.padding[0] + i, x = column * by.stride[1] - by.padding[1] + j;
              if (y < 0 || y >= height || x < 0 || x >= width) continue;
              const number = from[(channel * height + y) * width + x];
              largest = Math.max(largest, number);
              sum += number;
              inside++;
            }
          const count = by.counts_padding ? by.size[0] * by.size[1] : inside;
          to[(channel * rows + row) * columns + column] = most ? largest : sum / count;
        }
    return to;
  }

  function poolAll(by, from, [channels, height, width]) {
    const to = new Float32Array(channels), area = height * width;
    for (let channel = 0; channel < channels; channel++) {
      let largest = -Infinity, sum = 0;
      for (let i = channel * area; i < (channel + 1) * area; i++) {
        largest = Math.max(largest, from[i]);
        sum += from[i];
      }
      to[channel] = by.kind === "maximum" ? largest : sum / area;
    }
    return to;
  }

  const erf = (x) => {
    // A series near zero, a continued fraction far from it: both to the last bits of a float32.
    const a = Math.abs(x);
    if (a > 6) return Math.sign(x);
    if (a < 2.5) {
      let term = x, sum = x;
      for (let n = 1; n < 60; n++) {
        term *= (-x * x) / n;
        sum += term / (2 * n + 1);
      }
      return (2 / Math.sqrt(Math.PI)) * sum;
    }
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
    return Math.sign(x) * (1 - Math.exp(-a * a) / ((a + fraction) * Math.sqrt(Math.PI)));
  };
  const functions = {
    relu: () => (x) => Math.max(x, 0),
    leaky_relu: (slope) => (x) => (x > 0 ? x : slope * x),
    clamp: (low, high) => (x) => Math.min(Math.max(x, low), high),
    sigmoid: () => (x) => 1 / (1 + Math.exp(-x)),
    tanh: () => Math.tanh,
    silu: () => (x) => x / (1 + Math.exp(-x)),
    hard_sigmoid: () => (x) => Math.min(Math.max(x + 3, 0), 6) / 6,
    hard_swish: () => (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
    gelu: () => (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    elu: (alpha) => (x) => (x > 0 ? x : alpha * (Math.exp(x) - 1)),
  };

  function scale(by, from, [channels, height, width]) {
    const to = new Float32Array(from.length), area = height * width;
    for (let i = 0; i < from.length; i++) {
      const channel = Math.floor(i / area);
      to[i] = from[i] * by.scale[channel] + by.shift[channel];
    }
    return to;
  }

  function merge(by, [a, b], [shapeA, shapeB], [channels, height, width]) {
    const to = new Float32Array(channels * height * width);
    const at = (shape, c, y, x) =>
      ((shape[0] === 1 ? 0 : c) * shape[1] + (shape[1] === 1 ? 0 : y)) * shape[2] + (shape[2] === 1 ? 0 : x);
    let place = 0;
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const first = a[at(shapeA, c, y, x)], second = b[at(shapeB, c, y, x)];
          to[place++] = by.kind === "add" ? first + second : first * second;
        }
    return to;
  }

  function compute(by, inputs, from, to) {
    switch (by.type) {
      case "Convolution": return convolve(by, inputs[0], from[0], to);
      case "Pooling": return pool(by, inputs[0], from[0], to);
      case "GlobalPooling": return poolAll(by, inputs[0], from[0]);
      case "Scaling": return scale(by, inputs[0], from[0]);
      case "Activation": return inputs[0].map(functions[by.function](...by.numbers));
      case "Merge": return merge(by, inputs, from, to);
      case "Concatenation": {
        const joined = new Float32Array(size(to));
        let place = 0;
        for (const input of inputs) { joined.set(input, place); place += input.length; }
        return joined;
      }
      default: throw new Error("unknown operation " + by.type);
    }
  }

  /* Pixels 0..255, channel by channel -> { probabilities, values: each value by its number }. */
  function ask(pixels) {
    const values = { 0: Float32Array.from(pixels, (pixel) => pixel / 255) };
    for (const operation of operations) {
      const sources = operation.sources || [operation.source];
      values[operation.result] = compute(
        operation, sources.map((value) => values[value]), sources.map((value) => shapes[value]), shapes[operation.result]);
    }
    const answer = values[packed.answer], most = Math.max(...answer);
    const powers = Array.from(answer, (x) => Math.exp(x - most)), sum = powers.reduce((a, b) => a + b);
    return { probabilities: Float32Array.from(powers, (power) => power / sum), values };
  }

  return { ask, operations, shapes, answer: packed.answer };
}
