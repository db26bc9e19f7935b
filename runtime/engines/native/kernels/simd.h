// Vectors of 16 channels or pixels. Maps hold float or bfloat16; arithmetic is in float throughout.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

using Vec = __m512;
constexpr int64_t LANES = 16;

struct bf16 {
    uint16_t bits;
};

inline __mmask16 first_lanes(int64_t count) {
    return count >= LANES ? __mmask16(0xffff) : count <= 0 ? __mmask16(0) : __mmask16((1u << count) - 1);
}

inline Vec splat(float value) { return _mm512_set1_ps(value); }

inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline Vec load(const float* p, __mmask16 m) { return _mm512_maskz_loadu_ps(m, p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline void store(float* p, Vec v, __mmask16 m) { _mm512_mask_storeu_ps(p, m, v); }
inline void stream(float* p, Vec v) { _mm512_stream_ps(p, v); }
inline float to_float(float x) { return x; }

inline Vec widened(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }
inline Vec load(const bf16* p) { return widened(_mm256_loadu_si256((const __m256i*)p)); }
inline Vec load(const bf16* p, __mmask16 m) { return widened(_mm256_maskz_loadu_epi16(m, p)); }
inline float to_float(bf16 x) {
    uint32_t wide = uint32_t(x.bits) << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

#ifdef __AVX512BF16__
// through a union: compilers differ in whether the vector of bfloat16 may be cast to integers
inline __m256i narrowed(Vec v) {
    union {
        __m256bh from;
        __m256i to;
    } both = {_mm512_cvtneps_pbh(v)};
    return both.to;
}
#else
// round to nearest, ties to even; a NaN stays one
inline __m256i narrowed(Vec v) {
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0)));
}
#endif
inline void store(bf16* p, Vec v) { _mm256_storeu_si256((__m256i*)p, narrowed(v)); }
inline void store(bf16* p, Vec v, __mmask16 m) { _mm256_mask_storeu_epi16(p, m, narrowed(v)); }
inline void stream(bf16* p, Vec v) { _mm256_stream_si256((__m256i*)p, narrowed(v)); }
