/* generate MODEL PROMPT: continues the prompt. Built by: cc generate.c $(pkg-config --cflags --libs bantam) */
#include <bantam.h>
#include <stdio.h>

static int print(const char* text, size_t length, void* user) {
  return fwrite(text, 1, length, user) == length && fflush(user) == 0 ? 0 : 1; /* not 0 ends the answer */
}

int main(int argc, char** argv) {
  bantam_model* model = NULL;
  bantam_session* session = NULL;
  bantam_token prompt[512];
  size_t count = 0;
  bantam_generate_options options = {.size = sizeof options};
  bantam_result result = {.size = sizeof result};
  bantam_status status = BANTAM_INVALID_ARGUMENT;
  if (argc != 3) return fprintf(stderr, "usage: generate MODEL PROMPT\n"), 2;
  options.max_tokens = 64;
  options.on_text = print;
  options.user = stdout;
  status = bantam_model_load(argv[1], NULL, &model);
  if (status == BANTAM_OK) status = bantam_session_new(model, &session);
  if (status == BANTAM_OK) status = bantam_tokenize(model, argv[2], BANTAM_NUL, 0, prompt, 512, &count);
  if (status == BANTAM_OK) status = bantam_generate(session, prompt, count, &options, &result);
  if (status == BANTAM_OK) printf("\n[%u tokens]\n", (unsigned)result.tokens);
  if (status != BANTAM_OK) fprintf(stderr, "generate: %s\n", bantam_last_error());
  bantam_session_free(session);
  bantam_model_free(model);
  return status == BANTAM_OK ? 0 : 1;
}
