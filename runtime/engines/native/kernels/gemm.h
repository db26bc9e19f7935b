// The inner kernel of every convolution: P pixels times NV vectors of output channels, held in registers.
#pragma once
#include "simd.h"

// How a kernel walks its input: pixel p, tap t and channel k stand at x[tap[t] + p * pixel + k].
struct Walk {
    int64_t taps;         // how many
    const int64_t* tap;   // offset of each, in elements
    const int64_t* row;   // which row of the packed weights belongs to each tap
    int64_t channels;     // per tap; of bfloat16 even
    int64_t pixel;        // elements from one pixel to the next
};

template <int P, class T>
struct Bases {
    // One base per three pixels: with base, base + step and base + 2 * step every address fits one instruction. The
    // compiler must not see how they are related, or it computes one pointer per pixel and spills them.
    static constexpr int COUNT = (P + 2) / 3;
    const T* base[COUNT];

    inline __attribute__((always_inline)) Bases(const T* x, int64_t step) {
#pragma GCC unroll 16
        for (int i = 0; i < COUNT; i++) {
            base[i] = x + 3 * i * step;
            asm volatile("" : "+r"(base[i]));
        }
    }
    inline __attribute__((always_inline)) const T* at(int p, int64_t step) const { return base[p / 3] + (p % 3) * step; }
};

template <class T>
struct Step;

template <>
struct Step<float> {
    static constexpr int WIDE = 1;  // channels that one multiply takes
    using Operand = Vec;
    static inline __attribute__((always_inline)) Vec spread(const float* x) { return splat(*x); }
    static inline __attribute__((always_inline)) Vec weight(const float* w) { return load(w); }
    static inline __attribute__((always_inline)) Vec fma(Vec acc, Vec x, Vec w) { return _mm512_fmadd_ps(x, w, acc); }
};

#ifdef __AVX512BF16__
template <>
struct Step<bf16> {
    static constexpr int WIDE = 2;
    using Operand = __m512bh;
    static inline __attribute__((always_inline)) __m512bh spread(const bf16* x) {
        int32_t pair;
        memcpy(&pair, x, 4);
        return (__m512bh)_mm512_set1_epi32(pair);
    }
    static inline __attribute__((always_inline)) __m512bh weight(const bf16* w) { return (__m512bh)_mm512_loadu_si512(w); }
    static inline __attribute__((always_inline)) Vec fma(Vec acc, __m512bh x, __m512bh w) { return _mm512_dpbf16_ps(acc, x, w); }
};
#endif

// What becomes of a block of sums of products: `raw` in a row as they are, or a map. There y = max(sum, low) and, with a
// residual, y = max(y + residual, last_low), where minus infinity stands for no activation.
template <class T>
struct End {
    float* raw;
    const float* bias;  // NV * 16
    T* out;
    const T* residual;
    float* sums;  // of what is written, by channel
    int64_t channels, pixel, residual_pixel;
    int64_t block, residual_block;  // elements from 16 channels to the next 16
    float low, last_low;
};

template <class T, int P, int NV, bool RESIDUAL, bool SUMS>
inline __attribute__((always_inline)) void write(const Vec (&acc)[P][NV], const End<T>& end) {
    __mmask16 mask[NV];
    Vec total[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
        mask[v] = first_lanes(end.channels - v * LANES);
        total[v] = _mm512_setzero_ps();
    }
    const Vec low = splat(end.low), last_low = splat(end.last_low);
#pragma GCC unroll 32
    for (int p = 0; p < P; p++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            Vec y = _mm512_max_ps(low, acc[p][v]);
            if constexpr (RESIDUAL) {
                const Vec other = load(end.residual + p * end.residual_pixel + v * end.residual_block, mask[v]);
                y = _mm512_max_ps(last_low, _mm512_add_ps(y, other));
            }
            if constexpr (SUMS) total[v] = _mm512_add_ps(total[v], y);
            store(end.out + p * end.pixel + v * end.block, y, mask[v]);
        }
#pragma GCC unroll 4
    for (int v = 0; SUMS && v < NV; v++)
        store(end.sums + v * LANES, _mm512_add_ps(load(end.sums + v * LANES, mask[v]), total[v]), mask[v]);
}

// sums[p][NV * 16] = bias + sum over taps and channels of x * w; w is [row][channels / WIDE][NV * 16][WIDE].
template <class T, int P, int NV>
__attribute__((noinline)) void multiply(const T* x, const Walk& walk, const T* w, const End<T>& end) {
    using S = Step<T>;
    constexpr int64_t LINE = NV * LANES * S::WIDE;
    Vec acc[P][NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
        const Vec bias = load(end.bias + v * LANES);
#pragma GCC unroll 32
        for (int p = 0; p < P; p++) acc[p][v] = bias;
    }
    const int64_t step = walk.pixel, lines = walk.channels / S::WIDE;
    for (int64_t t = 0; t < walk.taps; t++) {
        Bases<P, T> from(x + walk.tap[t], step);
        const T* line = w + walk.row[t] * lines * LINE;
#pragma GCC unroll 4
        for (int64_t k = 0; k < lines; k++) {
            typename S::Operand ws[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) ws[v] = S::weight(line + v * LANES * S::WIDE);
#pragma GCC unroll 32
            for (int p = 0; p < P; p++) {
                typename S::Operand xs = S::spread(from.at(p, step));
#pragma GCC unroll 4
                for (int v = 0; v < NV; v++) acc[p][v] = S::fma(acc[p][v], xs, ws[v]);
            }
#pragma GCC unroll 16
            for (int i = 0; i < Bases<P, T>::COUNT; i++) from.base[i] += S::WIDE;
            line += LINE;
        }
    }
    if (end.raw) {
#pragma GCC unroll 32
        for (int p = 0; p < P; p++)
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) store(end.raw + (p * NV + v) * LANES, acc[p][v]);
    } else if (end.sums) {
        end.residual ? write<T, P, NV, true, true>(acc, end) : write<T, P, NV, false, true>(acc, end);
    } else {
        end.residual ? write<T, P, NV, true, false>(acc, end) : write<T, P, NV, false, false>(acc, end);
    }
}
