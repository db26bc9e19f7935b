// Resizing, by a fixed rule or by offsets, and the class of each pixel without ever writing its scores.
#pragma once
#include "windows.h"

// Where an output position falls between two input positions.
struct Between {
    int64_t low, high;
    float share;  // of the higher one

    Between(double position, int64_t size) {
        position = std::min(std::max(0.0, position), double(size - 1));  // in this order NaN becomes 0
        low = int64_t(position);
        high = std::min(low + 1, size - 1);
        share = float(position - double(low));
    }
};

// option: whether corners are aligned.
inline double source(const Op& op, int axis, int64_t i) {
    return op.option ? double(i) * op.step[axis] : (double(i) + 0.5) * op.step[axis] - 0.5;
}

inline Vec mixed(Vec a, Vec b, Vec share) { return _mm512_fmadd_ps(_mm512_sub_ps(b, a), share, a); }

template <class T>
inline Vec corners(const T* a, const T* b, int64_t left, int64_t right, __mmask16 mask, Vec x, Vec y) {
    const Vec top = mixed(load(a + left, mask), load(a + right, mask), x);
    return mixed(top, mixed(load(b + left, mask), load(b + right, mask), x), y);
}

// Of a result: where its two columns stand in a row, and the share of the right one.
struct Pixel {
    int32_t left, right;
    float share;
};

template <class T>
void resize_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    const Pixel* pixel = at.at<Pixel>(op.weights);
    const float* slopes = at.slopes(op);
    for (int64_t y = y0; y < y1; y++) {
        const Between down(source(op, 0, y), op.in.h);
        const T *top = line_of<T>(at, op.in, n, down.low), *bottom = line_of<T>(at, op.in, n, down.high);
        const T* add = op.second.n ? line_of<T>(at, op.second, n, y) : nullptr;
        T* out = line_of<T>(at, op.out, n, y);
        const Vec share_y = splat(down.share);
        for (int64_t x = 0; x < op.out.w; x++, out += op.out.pixel) {
            const Vec share_x = splat(pixel[x].share);
            for (int64_t c = 0; c < op.out.c; c += LANES) {
                const __mmask16 mask = first_lanes(op.out.c - c);
                Vec v = corners(top + c, bottom + c, pixel[x].left, pixel[x].right, mask, share_x, share_y);
                if (add) v = _mm512_add_ps(v, load(add + x * op.second.pixel + c, mask));
                store(out + c, activated(v, op.activation, slopes, c), mask);
            }
        }
    }
}

// As torch does it: doubling exactly, otherwise by a product in float.
inline int64_t nearest(int64_t i, int64_t from, int64_t to, double step) {
    if (to == from) return i;
    if (to == 2 * from) return i >> 1;
    return std::min(int64_t(floorf(float(i) * float(step))), from - 1);
}

template <class T>
void nearest_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    for (int64_t y = y0; y < y1; y++) {
        const T* in = line_of<T>(at, op.in, n, nearest(y, op.in.h, op.out.h, op.step[0]));
        T* out = line_of<T>(at, op.out, n, y);
        for (int64_t x = 0; x < op.out.w; x++) {
            const T* from = in + nearest(x, op.in.w, op.out.w, op.step[1]) * op.in.pixel;
            memcpy(out + x * op.out.pixel, from, op.out.c * sizeof(T));
        }
    }
}

// ---------------------------------------------------------------- planes

// Columns of a plane that 16 results read, as a table made ahead: from `first` on, lanes `low` and `high`.
struct Columns {
    const int32_t *first, *low, *high;
    const float* share;
    Columns(const int32_t* table, int64_t width) {
        const int64_t vectors = ceil_div(width, LANES);
        first = table;
        low = first + vectors;
        high = low + vectors * LANES;
        share = (const float*)(high + vectors * LANES);
    }
    Vec at(const float* line, int64_t v) const {
        const float* from = line + first[v];
        const Vec near = _mm512_loadu_ps(from), far = _mm512_loadu_ps(from + LANES);
        const __m512i l = _mm512_loadu_si512(low + v * LANES), h = _mm512_loadu_si512(high + v * LANES);
        return mixed(_mm512_permutex2var_ps(near, l, far), _mm512_permutex2var_ps(near, h, far), load(share + v * LANES));
    }
};

// One row of every channel, between two rows of the map, as lines of floats. A line has room to be read past its end.
template <class T>
void row_of_planes(const Op& op, const Bound& at, int64_t n, int64_t y, float* lines, int64_t stride) {
    const Between down(source(op, 0, y), op.in.h);
    const T *top = line_of<T>(at, op.in, n, down.low), *bottom = line_of<T>(at, op.in, n, down.high);
    const Vec share = splat(down.share);
    for (int64_t x = 0; x < op.in.w; x++)
        for (int64_t c = 0; c < op.in.c; c += LANES) {
            const __mmask16 mask = first_lanes(op.in.c - c);
            const int64_t i = x * op.in.pixel + c;
            alignas(64) float values[LANES];
            _mm512_store_ps(values, mixed(load(top + i, mask), load(bottom + i, mask), share));
            for (int64_t k = 0; k < std::min(LANES, op.in.c - c); k++) lines[(c + k) * stride + x] = values[k];
        }
}

template <class T>
void write_plane(const Op& op, const Columns& columns, const float* line, T* out) {
    for (int64_t v = 0; v * LANES < op.out.w; v++) {
        const Vec value = columns.at(line, v);
        T* to = out + v * LANES;
        if ((v + 1) * LANES <= op.out.w && uintptr_t(to) % (LANES * sizeof(T)) == 0) stream(to, value);
        else store(to, value, first_lanes(op.out.w - v * LANES));
    }
}

// The first of the largest channels.
inline void write_labels(const Op& op, const Columns& columns, const float* lines, int64_t stride, uint8_t* out) {
    for (int64_t v = 0; v * LANES < op.out.w; v++) {
        Vec best = columns.at(lines, v);
        __m512i label = _mm512_setzero_si512();
        for (int64_t c = 1; c < op.in.c; c++) {
            const Vec value = columns.at(lines + c * stride, v);
            const __mmask16 more = _mm512_cmp_ps_mask(value, best, _CMP_GT_OQ);
            best = _mm512_mask_mov_ps(best, more, value);
            label = _mm512_mask_mov_epi32(label, more, _mm512_set1_epi32(int(c)));
        }
        _mm_mask_storeu_epi8(out + v * LANES, first_lanes(op.out.w - v * LANES), _mm512_cvtepi32_epi8(label));
    }
}

// The result stands channel by channel (`run` elements apart), or is one label per pixel (`merged`).
template <class T>
void planar_resize_rows(const Op& op, const Bound& at, Scratch& scratch, int64_t n, int64_t y0, int64_t y1) {
    const int64_t stride = ceil_div(op.in.w, LANES) * LANES + 2 * LANES;
    float* lines = (float*)scratch.packed;
    const Columns columns(at.at<int32_t>(op.weights), op.out.w);
    for (int64_t y = y0; y < y1; y++) {
        row_of_planes<T>(op, at, n, y, lines, stride);
        if (op.merged) write_labels(op, columns, lines, stride, line_of<uint8_t>(at, op.out, n, y));
        for (int64_t c = 0; c < op.in.c && !op.merged; c++)
            write_plane(op, columns, lines + c * stride, line_of<T>(at, op.out, n, y) + c * op.run);
    }
    _mm_sfence();
}

// ---------------------------------------------------------------- offsets

// The number of the first largest among channels held in vectors.
inline int64_t first_largest(const Vec* values, int64_t channels) {
    Vec best = _mm512_mask_mov_ps(splat(-INFINITY), first_lanes(channels), values[0]);
    __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), label = at;
    for (int64_t c = LANES; c < channels; c += LANES) {
        at = _mm512_add_epi32(at, _mm512_set1_epi32(LANES));
        const __mmask16 more = _mm512_mask_cmp_ps_mask(first_lanes(channels - c), values[c / LANES], best, _CMP_GT_OQ);
        best = _mm512_mask_mov_ps(best, more, values[c / LANES]);
        label = _mm512_mask_mov_epi32(label, more, at);
    }
    const __mmask16 top = _mm512_cmp_ps_mask(best, splat(_mm512_reduce_max_ps(best)), _CMP_EQ_OQ);
    return top ? _mm512_mask_reduce_min_epi32(top, label) : 0;
}

constexpr int64_t MOST_SCORES = 16;  // vectors of channels of a guided upsampling

// Samples a map where a resize would, moved by offsets (dx, dy), in `unit` input pixels. The map continues beyond its
// edges as its outermost pixels.
template <class T>
void guided_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    for (int64_t y = y0; y < y1; y++) {
        const T* image = line_of<T>(at, op.in, n, 0);
        const T* offset = line_of<T>(at, op.second, n, y);
        T* out = line_of<T>(at, op.out, n, y);
        uint8_t* labels = line_of<uint8_t>(at, op.out, n, y);
        for (int64_t x = 0; x < op.out.w; x++, offset += op.second.pixel, out += op.out.pixel) {
            const Between across(source(op, 1, x) + to_float(offset[0]) * op.unit[1], op.in.w);
            const Between down(source(op, 0, y) + to_float(offset[1]) * op.unit[0], op.in.h);
            const T *top = image + op.in.line(down.low), *bottom = image + op.in.line(down.high);
            const Vec share_x = splat(across.share), share_y = splat(down.share);
            Vec values[MOST_SCORES];
            for (int64_t c = 0; c < op.in.c; c += LANES) {
                const __mmask16 mask = first_lanes(op.in.c - c);
                values[c / LANES] = corners(top + c, bottom + c, across.low * op.in.pixel, across.high * op.in.pixel, mask,
                                            share_x, share_y);
                if (!op.merged) store(out + c, values[c / LANES], mask);
            }
            if (op.merged) labels[x] = uint8_t(first_largest(values, op.in.c));
        }
    }
}
