// Functions of one value.
#pragma once
#include "ops.h"
#include "simd.h"

// e^x to within 2 units in the last place: x = n ln 2 + r, and a polynomial in r (Cephes' expf).
inline Vec exponential(Vec x) {
    x = _mm512_min_ps(_mm512_max_ps(x, splat(-103.0f)), splat(88.72283f));
    Vec n = _mm512_roundscale_ps(_mm512_mul_ps(x, splat(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    Vec r = _mm512_fnmadd_ps(n, splat(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, splat(-2.12194440e-4f), r);
    Vec y = splat(1.9875691500e-4f);
    const float rest[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    for (float factor : rest) y = _mm512_fmadd_ps(y, r, splat(factor));
    y = _mm512_add_ps(_mm512_fmadd_ps(y, _mm512_mul_ps(r, r), r), splat(1.0f));
    return _mm512_scalef_ps(y, n);
}

inline Vec sigmoid(Vec x) {
    Vec e = exponential(_mm512_sub_ps(_mm512_setzero_ps(), x));
    return _mm512_div_ps(splat(1.0f), _mm512_add_ps(splat(1.0f), e));
}

// Through e^(-2|x|), which overflows nowhere; near zero a series, where 1 - e would cancel.
inline Vec hyperbolic_tangent(Vec x) {
    Vec size = _mm512_abs_ps(x);
    Vec e = exponential(_mm512_mul_ps(size, splat(-2.0f)));
    Vec far = _mm512_div_ps(_mm512_sub_ps(splat(1.0f), e), _mm512_add_ps(splat(1.0f), e));
    Vec s = _mm512_mul_ps(x, x);
    Vec near = splat(-5.70498872745e-3f);
    const float rest[] = {2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f};
    for (float factor : rest) near = _mm512_fmadd_ps(near, s, splat(factor));
    near = _mm512_fmadd_ps(_mm512_mul_ps(near, s), size, size);
    Vec y = _mm512_mask_mov_ps(far, _mm512_cmp_ps_mask(size, splat(0.625f), _CMP_LT_OQ), near);
    return _mm512_or_ps(y, _mm512_and_ps(x, splat(-0.0f)));
}

// The operand that may be NaN stands second: minimum and maximum return that one.
inline Vec clamped(Vec x, float low, float high) {
    return _mm512_min_ps(splat(high), _mm512_max_ps(splat(low), x));
}

// Near zero a series, where e^x - 1 would cancel; a NaN stays one.
inline Vec exponential_linear(Vec x) {
    Vec near = splat(1.0f);
    for (float n = 7; n >= 2; n--) near = _mm512_fmadd_ps(near, _mm512_mul_ps(x, splat(1 / n)), splat(1.0f));
    const Vec far = _mm512_sub_ps(exponential(x), splat(1.0f));
    const Vec below = _mm512_mask_mov_ps(far, _mm512_cmp_ps_mask(x, splat(-0.35f), _CMP_NLE_UQ), _mm512_mul_ps(near, x));
    return _mm512_mask_mov_ps(below, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), x);
}

// The slopes are those of the channels from c on.
inline Vec activated(Vec x, int64_t kind, const float* slopes, int64_t c) {
    switch (kind) {
        case RELU: return _mm512_max_ps(_mm512_setzero_ps(), x);
        case RELU6: return clamped(x, 0.0f, 6.0f);
        case HSIGMOID: return _mm512_mul_ps(clamped(_mm512_add_ps(x, splat(3.0f)), 0.0f, 6.0f), splat(1.0f / 6));
        case HSWISH:
            return _mm512_mul_ps(x, _mm512_mul_ps(clamped(_mm512_add_ps(x, splat(3.0f)), 0.0f, 6.0f), splat(1.0f / 6)));
        case SIGMOID: return sigmoid(x);
        case SILU: return _mm512_mul_ps(x, sigmoid(x));
        case TANH: return hyperbolic_tangent(x);
        case ELU: return exponential_linear(x);
        case PRELU: {
            const Vec zero = _mm512_setzero_ps();
            return _mm512_fmadd_ps(_mm512_min_ps(zero, x), load(slopes + c), _mm512_max_ps(zero, x));
        }
        default: return x;
    }
}

// The common activations known to the compiler, the others by a switch per vector.
template <int64_t KIND>
inline __attribute__((always_inline)) Vec apply(Vec x, int64_t kind, const float* slopes, int64_t c) {
    if constexpr (KIND == NONE) return x;
    if constexpr (KIND == RELU) return _mm512_max_ps(_mm512_setzero_ps(), x);
    return activated(x, kind, slopes, c);
}
constexpr int64_t OTHER = -1;

// Calls f with the activation as a compile-time constant.
template <class F>
inline void with_activation(int64_t kind, F f) {
    if (kind == NONE) return f(std::integral_constant<int64_t, NONE>());
    if (kind == RELU) return f(std::integral_constant<int64_t, RELU>());
    f(std::integral_constant<int64_t, OTHER>());
}
