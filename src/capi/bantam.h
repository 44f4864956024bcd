/* Bantam's C API, version 1: load a model, tokenize, generate, chat, choose, classify, embed.
 *
 * Conventions. Every function that can fail returns a bantam_status, BANTAM_OK being 0; bantam_last_error()
 * then says in a sentence what was found and what was expected. Nothing prints, exits or throws. Texts are
 * UTF-8; beside a text stands its length in bytes, or BANTAM_NUL where a zero byte ends it. Structs begin
 * with their own size, which the caller sets (`bantam_generate_options options = {.size = sizeof options};`);
 * everything else may stay zero, which means the default.
 *
 * Threads. A model is immutable: any number of threads may use it at once. A session is for one call at a
 * time; a second one gets BANTAM_BUSY. bantam_cancel() alone may be called beside another call of its
 * session. bantam_last_error() is each thread's own.
 *
 * Lifetimes. What a *_load or *_new function gave is freed by the *_free function of its name, once; NULL is
 * fine there. A model may be freed before its sessions.
 *
 * Binary compatibility. Functions, values and meanings stay; structs only grow at their end, and the size at
 * their beginning tells versions apart. An option that a library is too old to know is BANTAM_UNSUPPORTED. */
#ifndef BANTAM_H
#define BANTAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BANTAM_API_VERSION 1
#define BANTAM_NUL ((size_t)-1)

#if defined(__GNUC__)
#define BANTAM_API __attribute__((visibility("default")))
#else
#define BANTAM_API
#endif

typedef int32_t bantam_status;
enum {
  BANTAM_OK = 0,
  BANTAM_INVALID_ARGUMENT = 1, /* the call makes no sense as it stands */
  BANTAM_NOT_FOUND = 2,
  BANTAM_CORRUPT = 3,     /* bytes that are not what their format promises */
  BANTAM_IO = 4,          /* the operating system refused */
  BANTAM_LIMIT = 5,       /* larger than the context, the memory, or the caller's buffer */
  BANTAM_UNSUPPORTED = 6, /* well-formed, but not something this library does */
  BANTAM_CANCELLED = 7,
  BANTAM_BUSY = 8,    /* another call of this session is running */
  BANTAM_INTERNAL = 9 /* a bug of ours */
};

typedef struct bantam_model bantam_model;
typedef struct bantam_session bantam_session;
typedef int32_t bantam_token;

/* The API version of the library that is running, and its release ("0.1.0"). */
BANTAM_API uint32_t bantam_api_version(void);
BANTAM_API const char* bantam_release(void);
/* What went wrong in this thread's last call, "" after a success. Valid until the thread's next call. */
BANTAM_API const char* bantam_last_error(void);

typedef struct bantam_load_options {
  uint32_t size;
  uint32_t threads;            /* 0: one per hardware thread */
  uint32_t context_length;     /* tokens of a session; 0: the model's own, at most 8,192 */
  uint32_t batch;              /* prompt tokens per pass; 0: 256 */
  const char* const* adapters; /* low-rank adapters (LoRA): "FILE" or "FILE:SCALE" */
  size_t adapter_count;
} bantam_load_options;

/* Loads a GGUF file, whose weights are mapped and used in place. options may be NULL. */
BANTAM_API bantam_status bantam_model_load(const char* path, const bantam_load_options* options,
                                           bantam_model** model);
/* The same from memory, which is not copied: it must stay until the model and its sessions are freed. */
BANTAM_API bantam_status bantam_model_load_memory(const void* bytes, size_t length,
                                                  const bantam_load_options* options, bantam_model** model);
BANTAM_API void bantam_model_free(bantam_model* model);

typedef struct bantam_model_info {
  uint32_t size;
  uint32_t context_length; /* tokens of a session */
  uint32_t vocabulary;     /* tokens are 0 .. vocabulary - 1 */
  uint32_t dim;            /* numbers of a vector of bantam_embed */
  uint32_t labels;         /* of the task the model was made for; 0: none */
  uint32_t adapters;       /* that the model was loaded with */
  int32_t is_encoder;      /* makes vectors only */
  int32_t has_chat_template;
  bantam_token bos, eos; /* -1: none */
  double threshold;      /* of the calibration: keep answers at least this probable; 0: not calibrated */
  uint64_t memory;       /* bytes planned for the model and one session */
} bantam_model_info;
BANTAM_API bantam_status bantam_model_describe(const bantam_model* model, bantam_model_info* info);
/* The task's label, valid as long as the model; NULL (and an error) where there is none of this index. */
BANTAM_API const char* bantam_model_label(const bantam_model* model, size_t index);

enum {
  BANTAM_NO_SPECIAL = 1,   /* no BOS or EOS where the model asks for them */
  BANTAM_PARSE_SPECIAL = 2 /* "<|end|>" is the control token; never for text of a user's */
};
/* Sets *count to how many tokens the text has and writes them to `tokens`, which may be NULL to only count.
 * Where they are more than `capacity`, nothing is written: BANTAM_LIMIT. */
BANTAM_API bantam_status bantam_tokenize(const bantam_model* model, const char* text, size_t length,
                                         uint32_t flags, bantam_token* tokens, size_t capacity,
                                         size_t* count);
/* Likewise the tokens' text, broken UTF-8 replaced, with a zero byte behind it, which *length does not count;
 * control tokens have a text with BANTAM_PARSE_SPECIAL only. */
BANTAM_API bantam_status bantam_detokenize(const bantam_model* model, const bantam_token* tokens,
                                           size_t count, uint32_t flags, char* text, size_t capacity,
                                           size_t* length);

/* A sequence's state: the tokens read so far with their keys and values. A call whose prompt begins as the
 * session's tokens do does not read that beginning again. */
BANTAM_API bantam_status bantam_session_new(const bantam_model* model, bantam_session** session);
BANTAM_API void bantam_session_free(bantam_session* session);
/* The scale of each of the model's adapters, `count` of them, from the next call on. */
BANTAM_API bantam_status bantam_session_set_adapters(bantam_session* session, const float* scales,
                                                     size_t count);

/* Called with each piece of text, whole characters, `length` bytes and a zero byte behind them. Returns 0 to
 * go on. Must not call into its session (BANTAM_BUSY), but for bantam_cancel. */
typedef int (*bantam_text_fn)(const char* text, size_t length, void* user);

typedef struct bantam_generate_options {
  uint32_t size;
  uint32_t max_tokens; /* 0: 256 */
  uint64_t seed;
  float temperature; /* 0: always the likeliest token */
  uint32_t top_k;    /* 0: all */
  float top_p;       /* 0: 1, all */
  float min_p;
  float repeat_penalty; /* 0: 1, none */
  float frequency_penalty, presence_penalty;
  int32_t context_shift; /* where the context is full, forget the oldest half of what follows context_keep
                            tokens, and go on */
  uint32_t context_keep;
  int32_t ignore_end;      /* go on past end tokens */
  const char* const* stop; /* the text ends before the first of these */
  size_t stop_count;
  const char* json_schema; /* the text is JSON that this schema accepts; NULL: any text */
  const char* pattern;     /* the text matches this pattern (ECMA-262) as a whole; not with json_schema */
  bantam_text_fn on_text;  /* may be NULL */
  void* user;              /* for on_text */
} bantam_generate_options;

enum {
  BANTAM_FINISH_STOP = 0,     /* an end token, a stop text, or the form is complete */
  BANTAM_FINISH_LENGTH = 1,   /* max_tokens or the context's end */
  BANTAM_FINISH_CANCELLED = 2 /* bantam_cancel, or on_text */
};
typedef struct bantam_result {
  uint32_t size;
  int32_t finish;
  uint32_t prompt_tokens, cached_tokens; /* cached: of the prompt's, those that needed no reading */
  uint32_t tokens;                       /* generated */
  uint32_t shifted;                      /* tokens that context_shift forgot */
  double prefill_seconds, decode_seconds;
} bantam_result;

/* Continues the tokens. options and result may be NULL. BANTAM_LIMIT where the prompt does not fit the
 * context: nothing is ever cut. */
BANTAM_API bantam_status bantam_generate(bantam_session* session, const bantam_token* prompt, size_t count,
                                         const bantam_generate_options* options, bantam_result* result);

typedef struct bantam_message {
  const char* role; /* "system", "user", "assistant" */
  const char* content;
} bantam_message;
/* Answers a conversation by the model's chat template; no message can end its turn or open another. */
BANTAM_API bantam_status bantam_chat(bantam_session* session, const bantam_message* messages, size_t count,
                                     const bantam_generate_options* options, bantam_result* result);

/* The probability of each of the texts after the prompt (they add up to 1) and the index of the largest.
 * probabilities (`count` of them) or best may be NULL. */
BANTAM_API bantam_status bantam_choose(bantam_session* session, const bantam_token* prompt,
                                       size_t prompt_count, const char* const* choices, size_t count,
                                       double* probabilities, size_t* best);
/* The probability of each label of the model's task, calibrated where the model is; as bantam_choose, with
 * room for bantam_model_info.labels. */
BANTAM_API bantam_status bantam_classify(bantam_session* session, const char* text, size_t length,
                                         double* probabilities, size_t capacity, size_t* best);
/* The text's vector of bantam_model_info.dim numbers, of length 1. */
BANTAM_API bantam_status bantam_embed(bantam_session* session, const bantam_token* tokens, size_t count,
                                      float* vector, size_t capacity);

/* Writes the session's tokens with their keys and values to a file, complete or not at all, and takes them
 * back in a session of the same model: a prompt that begins with these tokens then gives the same, in every
 * bit. */
BANTAM_API bantam_status bantam_session_save(bantam_session* session, const char* path);
BANTAM_API bantam_status bantam_session_restore(bantam_session* session, const char* path);

/* Ends the call that is running in the session, within a step, from any thread. Has no effect where none is.
 */
BANTAM_API void bantam_cancel(bantam_session* session);

#ifdef __cplusplus
}
#endif
#endif
