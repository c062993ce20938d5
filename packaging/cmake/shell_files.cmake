# Makes completions and manual pages by running the program: cmake -DLISA=PROGRAM -DSHARE=FOLDER -P shell_files.cmake
# A program that was built for another machine, or with CUDA where there is no driver, cannot run here: that is told and is no reason for
# the build to fail.
set(bash "${SHARE}/bash-completion/completions/lisa")
set(zsh "${SHARE}/zsh/site-functions/_lisa")
set(fish "${SHARE}/fish/vendor_completions.d/lisa.fish")
foreach(shell bash zsh fish)
  execute_process(COMMAND "${LISA}" completions ${shell} OUTPUT_VARIABLE script ERROR_VARIABLE why RESULT_VARIABLE failed)
  if(failed)
    message(WARNING "no completions and manual pages are installed, for ${LISA} does not run: ${why}")
    return()
  endif()
  file(WRITE "${${shell}}" "${script}")
endforeach()
execute_process(COMMAND "${LISA}" man --out "${SHARE}/man/man1" RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${LISA} man failed")
endif()
