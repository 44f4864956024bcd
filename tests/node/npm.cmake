# bantam_npm(NAME OUT): the packages of the calling folder's package-lock.json, from the npm registry into the build folder, as the
# fixture npm_NAME. OUT: the folder with them, the scripts and `node`; empty where there is no npm.
function(bantam_npm name out)
  find_program(NPM npm)
  if(NOT NPM)
    message(STATUS "tests/${name} is left out: it needs npm")
    set(${out} "" PARENT_SCOPE)
    return()
  endif()
  set(folder ${CMAKE_BINARY_DIR}/npm/${name})
  add_test(NAME npm.${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/node/install.sh ${CMAKE_CURRENT_SOURCE_DIR} ${folder})
  set_tests_properties(npm.${name} PROPERTIES FIXTURES_SETUP npm_${name} TIMEOUT 600)
  set(${out} ${folder} PARENT_SCOPE)
endfunction()
