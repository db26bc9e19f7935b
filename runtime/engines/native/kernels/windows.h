// Windows that slide over each channel alone: depthwise convolutions and pools.
#pragma once
#include <cmath>

#include "pointwise.h"

constexpr int64_t TOGETHER = 4;  // pixels that share the loading of weights

// Reads the input channels of 16 results: each serves `multiplier` results after each other.
template <class T>
struct Spread {
    int64_t first;
    __mmask16 mask;
    __m512i lanes;
    bool plain;
    Spread(int64_t c, int64_t channels, int64_t multiplier) : first(c / multiplier), plain(multiplier == 1) {
        int32_t index[LANES];
        const int64_t last = std::min(c + LANES, channels) - 1;
        for (int64_t i = 0; i < LANES; i++) index[i] = int32_t(std::min(c + i, last) / multiplier - first);
        lanes = _mm512_loadu_si512(index);
        mask = first_lanes(last / multiplier - first + 1);
    }
    Vec operator()(const T* in) const {
        const Vec v = load(in + first, mask);
        return plain ? v : _mm512_permutexvar_ps(lanes, v);
    }
};

template <class T>
void depthwise_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    const int64_t multiplier = op.option, height = op.kernel[0], width = op.kernel[1];
    const float *weights = at.at<float>(op.weights), *bias = at.at<float>(op.bias), *slopes = at.slopes(op);
    const int64_t padded = ceil_div(op.out.c, LANES) * LANES;
    for (int64_t y = y0; y < y1; y++) {
        T* out = line_of<T>(at, op.out, n, y);
        const T* add = op.second.n ? line_of<T>(at, op.second, n, y) : nullptr;
        for (int64_t c = 0; c < op.out.c; c += LANES) {
            const Spread<T> read(c, op.out.c, multiplier);
            const __mmask16 mask = first_lanes(op.out.c - c);
            for (int64_t x = 0; x < op.out.w; x += TOGETHER) {
                Vec acc[TOGETHER];
                for (Vec& a : acc) a = load(bias + c);
                for (int64_t ky = 0; ky < height; ky++) {
                    const int64_t iy = y * op.stride[0] - op.padding[0] + ky * op.dilation[0];
                    if (iy < 0 || iy >= op.in.h) continue;
                    const T* in = line_of<T>(at, op.in, n, iy);
                    for (int64_t kx = 0; kx < width; kx++) {
                        const Vec w = load(weights + (ky * width + kx) * padded + c);
                        for (int64_t p = 0; p < TOGETHER; p++) {
                            const int64_t ix = (x + p) * op.stride[1] - op.padding[1] + kx * op.dilation[1];
                            if (ix >= 0 && ix < op.in.w) acc[p] = _mm512_fmadd_ps(read(in + ix * op.in.pixel), w, acc[p]);
                        }
                    }
                }
                for (int64_t p = 0; p < std::min(TOGETHER, op.out.w - x); p++) {
                    Vec v = activated(acc[p], op.activation, slopes, c);
                    if (add) {
                        v = _mm512_add_ps(v, load(add + (x + p) * op.second.pixel + c, mask));
                        v = activated(v, op.last_activation, slopes, c);
                    }
                    store(out + (x + p) * op.out.pixel + c, v, mask);
                }
            }
        }
    }
}

// What a window covers along an axis: inside the map, and with padding, which an average may count.
struct Extent {
    int64_t first, last, counted;
    Extent(const Op& op, int axis, int64_t i, int64_t size) {
        const int64_t start = i * op.stride[axis] - op.padding[axis], end = start + op.kernel[axis];
        counted = std::min(end, size + op.padding[axis]) - start;
        first = std::max<int64_t>(start, 0);
        last = std::min(end, size);
    }
};

template <class T>
Vec largest(const Op& op, const T* image, int64_t y, int64_t x, __mmask16 mask) {
    Vec best = splat(-INFINITY);
    for (int64_t ky = 0; ky < op.kernel[0]; ky++) {
        const int64_t iy = y * op.stride[0] - op.padding[0] + ky * op.dilation[0];
        if (iy < 0 || iy >= op.in.h) continue;
        for (int64_t kx = 0; kx < op.kernel[1]; kx++) {
            const int64_t ix = x * op.stride[1] - op.padding[1] + kx * op.dilation[1];
            if (ix >= 0 && ix < op.in.w) best = _mm512_max_ps(best, load(image + op.in.line(iy) + ix * op.in.pixel, mask));
        }
    }
    return best;
}

template <class T>
Vec average(const Op& op, const T* image, const Extent& down, const Extent& across, __mmask16 mask) {
    Vec total = _mm512_setzero_ps();
    for (int64_t iy = down.first; iy < down.last; iy++)
        for (int64_t ix = across.first; ix < across.last; ix++)
            total = _mm512_add_ps(total, load(image + op.in.line(iy) + ix * op.in.pixel, mask));
    const bool padding = op.option == 2;
    const int64_t count = padding ? down.counted * across.counted
                                  : (down.last - down.first) * (across.last - across.first);
    return _mm512_div_ps(total, splat(float(count)));
}

// option: 0 a maximum, 1 an average over what is inside the map, 2 one that counts padding.
template <class T>
void pool_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    for (int64_t y = y0; y < y1; y++) {
        const T* image = line_of<T>(at, op.in, n, 0);
        T* out = line_of<T>(at, op.out, n, y);
        const Extent down(op, 0, y, op.in.h);
        for (int64_t x = 0; x < op.out.w; x++) {
            const Extent across(op, 1, x, op.in.w);
            for (int64_t c = 0; c < op.out.c; c += LANES) {
                const __mmask16 mask = first_lanes(op.out.c - c);
                const Vec v = op.option ? average(op, image + c, down, across, mask) : largest(op, image + c, y, x, mask);
                store(out + x * op.out.pixel + c, v, mask);
            }
        }
    }
}
