// One value at a time: sums and products of maps, affine functions, activations, copies.
#pragma once
#include "conv.h"

inline int64_t row_pieces(const Op& op) { return op.out.n * ceil_div(op.out.h, op.rows); }

// A step that makes any rows of an image, as one that makes a piece.
template <class T>
using Rows = void (*)(const Op&, const Bound&, Scratch&, int64_t n, int64_t y0, int64_t y1);

template <class T, Rows<T> ROWS>
void row_piece(const Op& op, const Bound& at, Scratch& scratch, int64_t piece) {
    const int64_t down = ceil_div(op.out.h, op.rows), n = piece / down, first = piece % down * op.rows;
    ROWS(op, at, scratch, n, first, std::min(first + op.rows, op.out.h));
}

template <class T>
inline T* line_of(const Bound& at, const Map& map, int64_t n, int64_t y) {
    return at.at<T>(map) + n * map.image + map.line(y);
}

template <int64_t OPERATOR>
inline Vec combined(Vec a, Vec b) {
    if constexpr (OPERATOR == ADD) return _mm512_add_ps(a, b);
    if constexpr (OPERATOR == SUB) return _mm512_sub_ps(a, b);
    if constexpr (OPERATOR == MUL) return _mm512_mul_ps(a, b);
    return _mm512_div_ps(a, b);
}

// The second operand may be broadcast along any axis: strides of 0, or one channel.
template <class T, int64_t OPERATOR>
void binary_line(const Op& op, const float* slopes, const T* a, const T* b, T* out) {
    const bool one = op.second.c == 1 && op.out.c > 1;
    for (int64_t x = 0; x < op.out.w; x++, a += op.in.pixel, b += op.second.pixel, out += op.out.pixel)
        for (int64_t c = 0; c < op.out.c; c += LANES) {
            const __mmask16 mask = first_lanes(op.out.c - c);
            const Vec other = one ? splat(to_float(*b)) : load(b + c, mask);
            const Vec v = combined<OPERATOR>(load(a + c, mask), other);
            store(out + c, activated(v, op.activation, slopes, c), mask);
        }
}

template <class T>
void binary_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    constexpr void (*LINES[])(const Op&, const float*, const T*, const T*, T*) = {
        binary_line<T, ADD>, binary_line<T, SUB>, binary_line<T, MUL>, binary_line<T, DIV>};
    for (int64_t y = y0; y < y1; y++) {
        LINES[op.option](op, at.slopes(op), line_of<T>(at, op.in, n, y), line_of<T>(at, op.second, n, y),
                         line_of<T>(at, op.out, n, y));
    }
}

// Three channels of bfloat16 as four, eight pixels at a time; the fourth is zero.
inline void pad_to_four(const bf16* in, bf16* out, int64_t pixels) {
    alignas(64) uint16_t from[32];
    for (int i = 0; i < 32; i++) from[i] = uint16_t(i / 4 * 3 + i % 4);
    const __m512i lanes = _mm512_load_si512(from);
    int64_t x = 0;
    for (; x + 8 <= pixels; x += 8)
        _mm512_storeu_si512(out + 4 * x, _mm512_maskz_permutexvar_epi16(
            0x77777777, lanes, _mm512_maskz_loadu_epi16(0x00ffffff, in + 3 * x)));
    for (; x < pixels; x++) {
        memcpy(out + 4 * x, in + 3 * x, 3 * sizeof(bf16));
        out[4 * x + 3] = bf16{0};
    }
}

// y = activation(scale * x + shift), per channel or by one number; with `option` the copy above. Channels past those of
// the input are as if they were zero.
template <class T>
void affine_rows(const Op& op, const Bound& at, Scratch&, int64_t n, int64_t y0, int64_t y1) {
    const float* scale = op.weights.slot ? at.at<float>(op.weights) : nullptr;
    const float* shift = op.bias.slot ? at.at<float>(op.bias) : nullptr;
    const float* slopes = at.slopes(op);
    const Vec one_scale = splat(float(op.step[0])), one_shift = splat(float(op.step[1]));
    for (int64_t y = y0; y < y1; y++) {
        const T* in = line_of<T>(at, op.in, n, y);
        T* out = line_of<T>(at, op.out, n, y);
        if constexpr (std::is_same_v<T, bf16>)
            if (op.option) {
                pad_to_four(in, out, op.out.w);
                continue;
            }
        for (int64_t x = 0; x < op.out.w; x++, in += op.in.pixel, out += op.out.pixel)
            for (int64_t c = 0; c < op.out.c; c += LANES) {
                const __mmask16 mask = first_lanes(op.out.c - c);
                Vec v = load(in + c, first_lanes(std::max<int64_t>(op.in.c - c, 0)));
                v = _mm512_fmadd_ps(v, scale ? load(scale + c, mask) : one_scale, shift ? load(shift + c, mask) : one_shift);
                store(out + c, activated(v, op.activation, slopes, c), mask);
            }
    }
}

// Partial sums over the rows of a piece, for a mean over the whole map.
template <class T>
void sums_piece(const Op& op, const Bound& at, Scratch&, int64_t piece) {
    float* sums = at.at<float>(op.sums) + piece * op.sums_channels;
    memset(sums, 0, op.in.c * sizeof(float));
    const int64_t n = piece / op.pieces, first = piece % op.pieces * op.rows;
    for (int64_t y = first; y < std::min(first + op.rows, op.in.h); y++) {
        const T* in = line_of<T>(at, op.in, n, y);
        for (int64_t c = 0; c < op.in.c; c += LANES) {
            const __mmask16 mask = first_lanes(op.in.c - c);
            Vec total = load(sums + c, mask);
            for (int64_t x = 0; x < op.in.w; x++) total = _mm512_add_ps(total, load(in + x * op.in.pixel + c, mask));
            store(sums + c, total, mask);
        }
    }
}

template <class T>
void mean_piece(const Op& op, const Bound& at, Scratch&, int64_t n) {
    const float* sums = at.at<float>(op.sums) + n * op.pieces * op.sums_channels;
    T* out = at.at<T>(op.out) + n * op.out.image;
    for (int64_t c = 0; c < op.out.c; c += LANES) {
        const __mmask16 mask = first_lanes(op.out.c - c);
        Vec total = _mm512_setzero_ps();
        for (int64_t i = 0; i < op.pieces; i++) total = _mm512_add_ps(total, load(sums + i * op.sums_channels + c, mask));
        store(out + c, _mm512_div_ps(total, splat(float(op.in.h * op.in.w))), mask);
    }
}

// The packed weights of each sample: those of the network times the sample's factor per input channel.
template <class T>
void scale_weights_piece(const Op& op, const Bound& at, Scratch&, int64_t piece) {
    constexpr int64_t WIDE = Step<T>::WIDE;
    const int64_t panels = op.groups * op.panels, panel = piece % panels, n = piece / panels;
    const int64_t line = op.vectors * LANES * WIDE, lines = op.run / WIDE, group = panel / op.panels;
    const T* factors = at.at<T>(op.second) + n * op.second.image + group * (op.second.c / op.groups);
    const int64_t size = op.kernel[0] * op.kernel[1] * lines * line;
    const T* from = at.at<T>(op.weights) + panel * size;
    T* to = at.at<T>(op.out) + n * op.weights_image + panel * size;
    for (int64_t tap = 0; tap < op.kernel[0] * op.kernel[1]; tap++)
        for (int64_t k = 0; k < lines; k++, from += line, to += line) {
            const float even = to_float(factors[k * WIDE]), odd = to_float(factors[k * WIDE + WIDE - 1]);
            const Vec factor = _mm512_mask_blend_ps(0xaaaa, splat(even), splat(odd));
            for (int64_t i = 0; i < line; i += LANES) store(to + i, _mm512_mul_ps(load(from + i), factor));
        }
}
